// feed and advance against the words they should leave behind, computed row by row.
#include "kernels_templates/generation/words.h"
#include "runtime/executor/host_math.h"
#include "tests/unit/kernel_cases.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace nanotest;
namespace words = kernels::generation;

namespace {

std::vector<int32_t> ints(const Case &c, size_t buffer) {
  return {c.at<int32_t>(buffer), c.at<int32_t>(buffer) + c.elements(buffer)};
}

/// The pairs that a launch added to the ring.
std::vector<std::pair<int, int>> added(const Case &before, const Case &after, size_t ring) {
  std::vector<std::pair<int, int>> pairs;
  const int32_t *now = after.at<int32_t>(ring);
  for (int32_t i = before.at<int32_t>(ring)[words::ringCount]; i < now[words::ringCount]; ++i)
    pairs.emplace_back(now[words::ringHeader + 2 * i], now[words::ringHeader + 2 * i + 1]);
  return pairs;
}

class Generation : public testing::Test {
protected:
  const kernels::Kernel &feed = *kernels::catalogue().kernel("feed", "");
  const kernels::Kernel &advance = *kernels::catalogue().kernel("advance", "");
  std::unique_ptr<kernels::HostMath> math = nanort::makeHostMath(1);
};

using Pairs = std::vector<std::pair<int, int>>;

TEST_F(Generation, FeedPacksThePromptsEndToEnd) {
  // Prompts 3, 1, 7: the second chunk of 4 holds the first tokens of row 2.
  Case c = makeFeed(feed, {{3, 1, 7}, {}, 5, 0, 0, false}, 4, 4, 3, 16, true);
  const Case before = c;
  c.runCpu(*math);
  const int32_t *prompt = c.at<int32_t>(0);
  EXPECT_EQ(ints(c, 6), (std::vector<int32_t>{prompt[4], prompt[5], prompt[6], prompt[7]}));
  EXPECT_EQ(ints(c, 7), (std::vector<int32_t>{-1, prompt[4], prompt[5], prompt[6]}));
  EXPECT_EQ(ints(c, 8), (std::vector<int32_t>{2, 2, 2, 2}));
  EXPECT_EQ(ints(c, 9), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(ints(c, 10), (std::vector<int32_t>{3, 1, 0, 0}));     // starts
  EXPECT_EQ(ints(c, 11), (std::vector<int32_t>{3, 1, 4, 0}));     // ends
  EXPECT_EQ(ints(c, 12), (std::vector<int32_t>{-1, -1, -1, -1})); // no prompt ends here
  EXPECT_EQ(ints(c, 13), (std::vector<int32_t>{1, 1, 0, 0}));
  // Rows 0 and 1 ended in the first chunk: their tokens are out, and they are steps.
  EXPECT_EQ(added(before, c, 5), (Pairs{{0, 0}, {1, 7}}));
  EXPECT_EQ(ints(c, 14)[0], 0);
  EXPECT_EQ(ints(c, 14)[1], 7);
  EXPECT_EQ(ints(c, 15)[0], prompt[2]);
  EXPECT_EQ(ints(c, 15)[1], prompt[3]);
  EXPECT_EQ(ints(c, 17)[0], 3);
  EXPECT_EQ(ints(c, 17)[1], 1);
  EXPECT_EQ(ints(c, 20)[1], 1); // last
  EXPECT_EQ(c.at<uint32_t>(4)[0], 1u);
  EXPECT_EQ(c.at<uint32_t>(4)[1], 1u);

  // The last chunk has three tokens and a slot of padding.
  c.runCpu(*math);
  EXPECT_EQ(ints(c, 6)[3], -1);
  EXPECT_EQ(ints(c, 8), (std::vector<int32_t>{2, 2, 2, -1}));
  EXPECT_EQ(ints(c, 9), (std::vector<int32_t>{4, 5, 6, 0}));
  EXPECT_EQ(ints(c, 10)[2], 4);
  EXPECT_EQ(ints(c, 11)[2], 7);
  EXPECT_EQ(ints(c, 12)[2], 2);
  // After it there is none.
  c.runCpu(*math);
  EXPECT_EQ(c.at<uint32_t>(4)[0], 0u);
  EXPECT_EQ(c.at<uint32_t>(4)[1], 1u);
  EXPECT_EQ(added(before, c, 5), (Pairs{{0, 0}, {1, 7}, {2, 14}}));
}

TEST_F(Generation, TheFirstFeedAcceptsNothingAndClearsEveryRow) {
  Case c = makeFeed(feed, {{3, 1}, {}, 5, 77, 9, false}, 8, 3, 4, 16, false);
  c.runCpu(*math);
  EXPECT_EQ(c.at<int32_t>(5)[words::ringCount], 0);
  EXPECT_EQ(ints(c, 3), (std::vector<int32_t>{0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(ints(c, 14), (std::vector<int32_t>(4, -1)));
  EXPECT_EQ(ints(c, 16), (std::vector<int32_t>(4, -1)));
  EXPECT_EQ(ints(c, 20), (std::vector<int32_t>(4, -1)));
  EXPECT_EQ(ints(c, 12), (std::vector<int32_t>{2, 3, -1}));
  EXPECT_EQ(c.at<uint32_t>(4)[0], 1u);
  EXPECT_EQ(c.at<uint32_t>(4)[1], 0u);
}

// Row 2 of every moment ended earlier. Rows take 0, 7, 14, 21.
TEST_F(Generation, AdvanceEndsRows) {
  struct Expected {
    GenerationMoment moment;
    Pairs pairs;
    bool goes;
  };
  const Expected cases[] = {
      {{{5, 1, 9, 4}, {}, 90, 0, 3, false}, {{0, 0}, {1, 7}, {3, 21}}, true},
      {{{5, 1, 9, 4}, {21, 0}, 90, 0, 3, false}, {{0, -2}, {1, 7}, {3, -2}}, true},
      {{{5, 1, 9, 4}, {}, 4, 0, 3, false}, {{0, 0}, {0, -3}, {1, 7}, {1, -3}, {3, 21}, {3, -3}}, false},
      {{{5, 13, 9, 4}, {}, 90, 0, 2, false}, {{0, 0}, {1, 7}, {1, -4}, {3, 21}}, true},
      {{{5, 1, 9, 4}, {7}, 90, 0, 3, true}, {{0, 0}, {0, -5}, {1, -2}, {3, 21}, {3, -5}}, false},
  };
  for (const Expected &expected : cases) {
    Case c = makeAdvance(advance, expected.moment, 5, 16);
    const Case before = c;
    c.runCpu(*math);
    EXPECT_EQ(added(before, c, 4), expected.pairs);
    EXPECT_EQ(c.at<uint32_t>(3)[1], expected.goes ? 1u : 0u);
    for (int row = 0; row < 4; ++row) {
      const bool ended = std::any_of(expected.pairs.begin(), expected.pairs.end(),
                                     [&](auto pair) { return pair.first == row && pair.second < 0; });
      if (row == 2) {
        EXPECT_EQ(ints(c, 5)[row], ints(before, 5)[row]) << "a row that has ended is left alone";
      } else if (ended) {
        EXPECT_EQ(ints(c, 7)[row], -1) << "it writes no keys";
        EXPECT_EQ(ints(c, 11)[row], -1) << "it samples nothing";
      } else {
        EXPECT_EQ(ints(c, 5)[row], 7 * row);
        EXPECT_EQ(ints(c, 6)[row], ints(before, 5)[row]);
        EXPECT_EQ(ints(c, 8)[row], expected.moment.prompts[row] + expected.moment.steps);
        EXPECT_EQ(ints(c, 12)[row], expected.moment.steps + 1);
      }
    }
  }
}

TEST_F(Generation, EveryCaseOfTheSweepKeepsItsWordsInRange) {
  for (const kernels::Kernel *kernel : {&feed, &advance})
    for (Case &c : casesOf(*kernel)) {
      const Case before = c;
      c.runCpu(*math);
      const size_t ring = kernel->indexOf("ring");
      for (auto [row, id] : added(before, c, ring)) {
        EXPECT_GE(row, 0) << c.label();
        EXPECT_LT(id, 50) << c.label();
        EXPECT_GE(id, -words::cancelled) << c.label();
      }
    }
}

} // namespace
