// What feed and advance compute, on the CPU.
#include "kernels_templates/base/reference.h"
#include "kernels_templates/generation/words.h"

#include <atomic>

namespace kernels {

using namespace generation;

namespace {

constexpr std::string_view inputNames[] = {"tokens", "prev", "rows", "positions", "starts", "ends", "last", "steps"};

/// A decode entry's inputs of row `row`, which is also its slot: the arguments of those names behind `prefix`.
class StepInputs {
public:
  StepInputs(const ReferenceCall &call, std::string_view prefix) {
    for (size_t i = 0; i < std::size(inputNames); ++i)
      at[i] = call.at<int32_t>(std::string(prefix) + std::string(inputNames[i]));
  }
  int32_t token(int32_t row) const { return at[tokens][row]; }
  void set(int32_t row, int32_t token, int32_t previous, int32_t position, int32_t step) const {
    at[tokens][row] = token;
    at[prev][row] = previous;
    at[rows][row] = at[last][row] = row;
    at[positions][row] = at[starts][row] = position;
    at[ends][row] = position + 1;
    at[steps][row] = step;
  }
  void clear(int32_t row) const {
    for (int input : {tokens, prev, rows, last})
      at[input][row] = -1;
    at[positions][row] = 0;
  }
  void reset(int32_t row) const {
    clear(row);
    at[starts][row] = at[ends][row] = at[steps][row] = 0;
  }

private:
  enum { tokens, prev, rows, positions, starts, ends, last, steps }; // in the order of inputNames
  int32_t *at[std::size(inputNames)];
};

class Request {
public:
  explicit Request(const int32_t *words) : words(words) {}
  int32_t tokens() const { return words[requestTokens]; }
  int32_t rows(int32_t capacity) const { return std::min(words[requestRows], capacity); }
  int32_t end(int32_t row) const { return words[requestHeader + 2 * row + rowEnd]; }
  int32_t begin(int32_t row) const { return row > 0 ? end(row - 1) : 0; }
  int32_t limit(int32_t row) const { return words[requestHeader + 2 * row + rowLimit]; }
  bool stops(int32_t id) const {
    const int32_t *ids = words + requestStops;
    return std::find(ids, ids + words[requestStopCount], id) != ids + words[requestStopCount];
  }

private:
  const int32_t *words;
};

struct Accepted {
  bool active = false, cancelled = false; // a row needs another step; the host asked for the end
};

/// Takes next[row] of every row that is due(row, status), as generation/accept.cuh says.
template <typename Due, typename Previous>
Accepted acceptTokens(const Request &request, const int32_t *next, int32_t *progress, int32_t *ring, int32_t rows,
                      int64_t positions, const StepInputs &step, Due due, Previous previous) {
  Accepted result;
  result.cancelled = std::atomic_ref(ring[ringCancel]).load(std::memory_order_acquire) != 0;
  int32_t &count = progress[progressCount];
  auto emit = [&](int32_t row, int32_t id) {
    ring[ringHeader + 2 * count] = row;
    ring[ringHeader + 2 * count + 1] = id;
    ++count;
  };
  for (int32_t row = 0; row < rows; ++row) {
    int32_t *state = progress + progressHeader + 2 * row;
    int32_t &emitted = state[rowEmitted], &status = state[rowStatus];
    const int32_t before = status;
    if (due(row, before)) {
      const int32_t id = next[row], prompt = request.end(row) - request.begin(row);
      if (request.stops(id)) {
        status = stopped;
      } else {
        emit(row, id);
        ++emitted;
        status = emitted >= request.limit(row) ? length : prompt + emitted >= positions ? context : active;
      }
      if (status == active && !result.cancelled)
        step.set(row, id, previous(row), prompt + emitted - 1, emitted);
    }
    if (result.cancelled && status <= active)
      status = cancelled;
    if (before <= active && status > active) {
      step.clear(row);
      emit(row, -status);
    }
    result.active |= status == active;
  }
  std::atomic_ref(ring[ringCount]).store(count, std::memory_order_release);
  return result;
}

void feed(const ReferenceCall &call) {
  const int32_t slots = call.integer("slots"), chunkRows = call.integer("chunk_rows"), batch = call.integer("batch");
  const bool accept = call.integer("accept") != 0;
  const int32_t *prompt = call.at<int32_t>("prompt");
  const Request request(call.at<int32_t>("request"));
  int32_t *progress = call.at<int32_t>("progress");
  auto *go = call.at<uint32_t>("go");
  const StepInputs step(call, "step_");
  const int32_t used = request.rows(std::min(chunkRows, batch));
  const int32_t cursor = accept ? progress[progressCursor] : -slots, begin = cursor + slots;
  if (!accept) {
    std::fill_n(progress + progressHeader, 2 * used, 0);
    progress[progressCount] = 0;
    for (int32_t row = 0; row < batch; ++row)
      step.reset(row);
  }
  const Accepted now = acceptTokens(
      request, call.at<int32_t>("next"), progress, call.at<int32_t>("ring"), used, call["max_seq"], step,
      [&](int32_t row, int32_t status) {
        return status == waiting && request.end(row) > cursor && request.end(row) <= begin;
      },
      [&](int32_t row) { return prompt[request.end(row) - 1]; });

  int32_t *tokens = call.at<int32_t>("tokens"), *prev = call.at<int32_t>("prev"), *rows = call.at<int32_t>("rows"),
          *positions = call.at<int32_t>("positions");
  int32_t row = 0;
  for (int32_t slot = 0; slot < slots; ++slot) {
    const int32_t at = begin + slot;
    const bool holds = at < request.tokens();
    while (holds && request.end(row) <= at)
      ++row;
    const int32_t position = holds ? at - request.begin(row) : 0;
    tokens[slot] = holds ? prompt[at] : -1;
    prev[slot] = position > 0 ? prompt[at - 1] : -1;
    rows[slot] = holds ? row : -1;
    positions[slot] = position;
  }
  int32_t *starts = call.at<int32_t>("starts"), *ends = call.at<int32_t>("ends"), *last = call.at<int32_t>("last"),
          *steps = call.at<int32_t>("steps");
  for (int32_t r = 0; r < chunkRows; ++r) {
    const bool in = r < used;
    const int32_t first = in ? request.begin(r) : 0, end = in ? request.end(r) : 0;
    starts[r] = std::clamp(begin, first, end) - first;
    ends[r] = std::clamp(begin + slots, first, end) - first;
    last[r] = in && end > begin && end <= begin + slots ? end - 1 - begin : -1;
    steps[r] = in && end <= begin ? 1 : 0;
  }
  progress[progressCursor] = begin;
  go[goChunks] = begin < request.tokens() && !now.cancelled;
  go[goSteps] = now.active;
}

void advance(const ReferenceCall &call) {
  const Request request(call.at<int32_t>("request"));
  const StepInputs step(call, "");
  const Accepted now = acceptTokens(
      request, call.at<int32_t>("next"), call.at<int32_t>("progress"), call.at<int32_t>("ring"),
      request.rows(call.integer("batch")), call["max_seq"], step,
      [](int32_t, int32_t status) { return status == active; }, [&](int32_t row) { return step.token(row); });
  call.at<uint32_t>("go")[goSteps] = now.active;
}

} // namespace

Reference reference_generation(std::string_view meaning) {
  return meaning == "feed" ? feed : meaning == "advance" ? advance : nullptr;
}

} // namespace kernels
