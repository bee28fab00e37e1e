// The CPU references of feed and advance: what they share.
#pragma once

#include "kernels_templates/common/families.h"
#include "kernels_templates/common/generation.h"

#include <atomic>

namespace kernels::generation {

/// A decode entry's inputs of row `row`, which is also its slot: eight buffers from argument `first` on.
class StepInputs {
public:
  StepInputs(const CpuArgs &args, size_t first) {
    for (size_t i = 0; i < 8; ++i)
      at[i] = args.at<int32_t>(first + i);
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
  enum { tokens, prev, rows, positions, starts, ends, last, steps };
  int32_t *at[8];
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

/// Takes next[row] of every row that is due(row, status), as common/generation.cuh says.
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

} // namespace kernels::generation
