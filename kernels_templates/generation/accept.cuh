// A generation on the device: what feed and advance share.
#pragma once

#include "kernels_templates/device/order.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/generation/generation_layout.h"

// Resolved when the machine code is loaded: a part of the driver.
extern "C" __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned value);

// Whether a loop of the graph goes on; handle 0 outside a graph. One thread of the launch calls it.
__device__ inline void setCondition(unsigned long long handle, bool goesOn) {
  if (handle != 0)
    cudaGraphSetConditional(handle, goesOn ? 1 : 0);
}

// A decode entry's inputs of row `row`, which is also its slot.
struct StepInputs {
  int *tokens, *prev, *rows, *positions, *starts, *ends, *last, *steps;

  __device__ void set(int row, int token, int previous, int position, int step) const {
    tokens[row] = token;
    prev[row] = previous;
    rows[row] = last[row] = row;
    positions[row] = starts[row] = position;
    ends[row] = position + 1;
    steps[row] = step;
  }
  // Nothing is read, written or sampled for the row.
  __device__ void clear(int row) const {
    tokens[row] = prev[row] = rows[row] = last[row] = -1;
    positions[row] = 0;
  }
};

// Of row `row` of a request.
__device__ inline int requestOf(const int *request, int row, kernels::generation::RequestRowWord word) {
  return request[kernels::generation::requestHeader + 2 * row + word];
}
__device__ inline int promptEnd(const int *request, int row) {
  return requestOf(request, row, kernels::generation::rowEnd);
}
__device__ inline int promptBegin(const int *request, int row) { return row > 0 ? promptEnd(request, row - 1) : 0; }

struct Accepted {
  bool active, cancelled; // a row needs another step; the host asked for the end
};

// What is known of a row before its token is.
struct AcceptedRow {
  int emitted, status, length, limit, previous; // the last three of a row that is due
  bool due;
};

// Takes next[row] of every row that is due(row, status): a stop id ends the row, another one is emitted and ends it at
// its limit or the context's, or becomes the row's next step. All threads call it, a thread a row at a time; the ring's
// pairs are in the order of rows. They are stored before the count, which is released to the host once. Of what the
// producers write only `next` is read, after wait(): the rest, and above all the host's word, is on its way before.
template <int threads, typename Due, typename Previous, typename Wait>
__device__ inline Accepted acceptTokens(const int *request, const int *next, int *progress, int *ring, int rows,
                                        int positions, const StepInputs &step, Due due, Previous previous, Wait wait,
                                        unsigned char *shared) {
  namespace words = kernels::generation;
  constexpr kernels::GenerationLayout layout(threads);
  int *totals = reinterpret_cast<int *>(shared); // [threads / 32]
  int &cancel = *reinterpret_cast<int *>(shared + layout.cancel);
  int *stops = reinterpret_cast<int *>(shared + layout.stops); // [maxStopIds]
  const int stopCount = request[words::requestStopCount];
#pragma unroll 1
  for (int i = threadIdx.x; i < stopCount; i += threads)
    stops[i] = request[words::requestStops + i];
  if (threadIdx.x == 0)
    cancel = loadFromHost(ring + words::ringCancel);
  auto fetch = [&](int row) {
    AcceptedRow own = {0, words::stopped, 0, 0, -1, false};
    if (row < rows) {
      own.emitted = progress[words::progressHeader + 2 * row + words::rowEmitted];
      own.status = progress[words::progressHeader + 2 * row + words::rowStatus];
      own.due = due(row, own.status);
    }
    if (own.due) {
      own.length = promptEnd(request, row) - promptBegin(request, row);
      own.limit = requestOf(request, row, words::rowLimit);
      own.previous = previous(row);
    }
    return own;
  };
  AcceptedRow own = fetch(threadIdx.x);
  int count = progress[words::progressCount];
  __syncthreads();
  wait();
  const bool cancelled = cancel != 0;
  const unsigned lower = (1u << threadIdx.x % 32) - 1;
  bool active = false;
  for (int base = 0; base < rows; base += threads) { // the same trip count for all threads
    const int row = base + static_cast<int>(threadIdx.x);
    if (base > 0)
      own = fetch(row);
    int id = -1, status = own.status;
    bool emits = false, ends = false;
    if (row < rows) {
      int *state = progress + words::progressHeader + 2 * row;
      if (own.due) {
        id = next[row];
        status = words::active;
#pragma unroll 1
        for (int i = 0; i < stopCount; ++i)
          if (stops[i] == id)
            status = words::stopped;
        emits = status == words::active;
        const int emitted = own.emitted + emits;
        if (emits && emitted >= own.limit)
          status = words::length;
        else if (emits && own.length + emitted >= positions)
          status = words::context;
        else if (emits && !cancelled)
          step.set(row, id, own.previous, own.length + emitted - 1, emitted);
        state[words::rowEmitted] = emitted;
      }
      if (cancelled && status <= words::active)
        status = words::cancelled;
      ends = own.status <= words::active && status > words::active;
      if (ends)
        step.clear(row);
      state[words::rowStatus] = status;
      active |= status == words::active;
    }
    const unsigned emitting = __ballot_sync(0xffffffffu, emits), ending = __ballot_sync(0xffffffffu, ends);
    __syncthreads(); // the previous round's readers are done
    if (threadIdx.x % 32 == 0)
      totals[threadIdx.x / 32] = __popc(emitting) + __popc(ending);
    __syncthreads();
    int place = count + __popc(emitting & lower) + __popc(ending & lower);
#pragma unroll
    for (int warp = 0; warp < threads / 32; ++warp) {
      place += warp < static_cast<int>(threadIdx.x / 32) ? totals[warp] : 0;
      count += totals[warp];
    }
    int *pair = ring + words::ringHeader + 2 * place;
    if (emits) {
      pair[0] = row;
      pair[1] = id;
      pair += 2;
    }
    if (ends) {
      pair[0] = row;
      pair[1] = -status;
    }
  }
  active = __syncthreads_or(active);
  if (threadIdx.x == 0) {
    progress[words::progressCount] = count;
    storeToHost(ring + words::ringCount, count);
  }
  return {active, cancelled};
}
