// Launches of feed and advance: requests at different moments.
#include "kernels_templates/generation/words.h"
#include "tests/unit/kernel_cases.h"

#include <algorithm>
#include <numeric>

namespace nanotest {

using namespace kernels;
namespace words = generation;

namespace {

/// The request's and the progress's words: rows whose prompts end before `cursor` are active, or as `status` says.
void fill(Case &c, size_t request, size_t progress, size_t ring, const GenerationMoment &m) {
  int32_t *asked = c.at<int32_t>(request), *reached = c.at<int32_t>(progress), *pairs = c.at<int32_t>(ring);
  std::fill_n(asked, c.elements(request), 0);
  asked[words::requestTokens] = std::accumulate(m.prompts.begin(), m.prompts.end(), 0);
  asked[words::requestRows] = static_cast<int32_t>(m.prompts.size());
  asked[words::requestStopCount] = static_cast<int32_t>(m.stopIds.size());
  std::copy(m.stopIds.begin(), m.stopIds.end(), asked + words::requestStops);
  std::fill_n(reached, c.elements(progress), 0);
  reached[words::progressCursor] = m.cursor;
  int32_t end = 0, count = 0;
  for (size_t row = 0; row < m.prompts.size(); ++row) {
    end += m.prompts[row];
    asked[words::requestHeader + 2 * row + words::rowEnd] = end;
    asked[words::requestHeader + 2 * row + words::rowLimit] = m.limit;
    int32_t *own = reached + words::progressHeader + 2 * row;
    const bool begun = m.steps > 0 || end <= m.cursor;
    own[words::rowStatus] = begun ? (row % 3 == 2 ? words::length : words::active) : words::waiting;
    own[words::rowEmitted] = begun ? std::max(1, m.steps) : 0;
    count += own[words::rowEmitted];
  }
  reached[words::progressCount] = count;
  std::fill_n(pairs, c.elements(ring), -7);
  pairs[words::ringCount] = count;
  pairs[words::ringCancel] = m.cancel ? 1 : 0;
}

} // namespace

Case makeFeed(const Kernel &kernel, const GenerationMoment &m, int slots, int chunkRows, int batch, int positions,
              bool accept) {
  const auto scalar = [](int value) { return Scalar{.i = value}; };
  Case c =
      makeCase(kernel, {{"max_seq", positions}},
               {scalar(slots), scalar(chunkRows), scalar(batch), scalar(accept), scalar(0), scalar(1)}, {.vocab = 50});
  fill(c, 1, 3, 5, m);
  for (size_t i = 0; i < c.elements(0); ++i) // ids, no padding
    c.at<int32_t>(0)[i] = static_cast<int32_t>(i * 37 % 50);
  for (size_t i = 0; i < c.elements(2); ++i)
    c.at<int32_t>(2)[i] = static_cast<int32_t>(i * 7 % 50);
  return c;
}

Case makeAdvance(const Kernel &kernel, const GenerationMoment &m, int batch, int positions) {
  Case c = makeCase(kernel, {{"max_seq", positions}}, {{.i = batch}, {.i = 1}}, {.vocab = 50});
  fill(c, 0, 2, 4, m);
  for (size_t i = 0; i < c.elements(1); ++i)
    c.at<int32_t>(1)[i] = static_cast<int32_t>(i * 7 % 50);
  std::fill_n(c.at<uint32_t>(3), c.elements(3), 1u);
  return c;
}

std::vector<Case> generationCases(const Kernel &kernel) {
  std::vector<Case> cases;
  std::vector<int> many(300);
  for (size_t row = 0; row < many.size(); ++row)
    many[row] = 1 + static_cast<int>(row * 5 % 7);
  for (bool cancel : {false, true})
    for (const std::vector<int> &stops : {std::vector<int>{}, {14, 0}, {7, 49, 21, 3}}) {
      if (kernel.meaning.name == "advance") {
        cases.push_back(makeAdvance(kernel, {{5}, stops, 9, 0, 3, cancel}, 1, 16));
        cases.push_back(makeAdvance(kernel, {{5, 1, 9, 4}, stops, 4, 0, 3, cancel}, 6, 16)); // at the limit
        cases.push_back(
            makeAdvance(kernel, {{5, 12, 9, 4, 1}, stops, 90, 0, 4, cancel}, 5, 17)); // row 1 fills its context
        cases.push_back(makeAdvance(kernel, {many, stops, 90, 0, 2, cancel}, 301, 12));
        continue;
      }
      for (int cursor : {0, 4, 8, 12, 16}) {
        const GenerationMoment four = {{3, 1, 7, 8}, stops, 5, cursor, 0, cancel};
        cases.push_back(makeFeed(kernel, four, 4, 5, 4, 16, true));
        cases.push_back(
            makeFeed(kernel, {{3, 1, 7, 8}, stops, 1, cursor, 0, cancel}, 4, 4, 6, 16, true)); // one token each
        cases.push_back(
            makeFeed(kernel, {{3, 1, 7, 4}, stops, 5, cursor, 0, cancel}, 4, 4, 4, 8, true)); // row 2 has room for one
      }
      cases.push_back(makeFeed(kernel, {{3, 1, 7, 8}, stops, 5, 77, 0, cancel}, 4, 5, 4, 16, false));
      cases.push_back(makeFeed(kernel, {many, stops, 5, 0, 0, cancel}, 600, 300, 310, 9, true));
      cases.push_back(makeFeed(kernel, {{1}, stops, 5, 0, 0, cancel}, 128, 8, 1, 2048, false));
    }
  return cases;
}

} // namespace nanotest
