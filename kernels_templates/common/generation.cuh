// A generation on the device: what feed and advance share. The words of the buffers are those of common/generation.h.

// Resolved when the machine code is loaded: a part of the driver.
extern "C" __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned value);

enum { requestTokens = 0, requestRows = 1, requestStopCount = 2, requestStops = 4, requestHeader = 68 };
enum { progressCursor = 0, progressCount = 1, progressHeader = 2 };
enum { ringCount = 0, ringCancel = 4, ringHeader = 8 };
enum {
  statusWaiting = 0,
  statusActive = 1,
  statusStopped = 2,
  statusLength = 3,
  statusContext = 4,
  statusCancelled = 5
};

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

__device__ inline int promptBegin(const int *request, int row) {
  return row > 0 ? request[requestHeader + 2 * (row - 1)] : 0;
}
__device__ inline int promptEnd(const int *request, int row) { return request[requestHeader + 2 * row]; }

struct Accepted {
  bool active, cancelled; // a row needs another step; the host asked for the end
};

// Takes next[row] of every row that is due(row, status): a stop id ends the row, another one is emitted and ends it at
// its limit or the context's, or becomes the row's next step. All threads call it, a thread a row at a time; the ring's
// pairs are in the order of rows. They are stored before the count, which is released to the host once.
template <int threads, typename Due, typename Previous>
__device__ inline Accepted acceptTokens(const int *request, const int *next, int *progress, int *ring, int rows,
                                        int positions, const StepInputs &step, Due due, Previous previous) {
  __shared__ int totals[threads / 32], cancel;
  if (threadIdx.x == 0)
    cancel = loadFromHost(ring + ringCancel);
  __syncthreads();
  const bool cancelled = cancel != 0;
  const unsigned lower = (1u << threadIdx.x % 32) - 1;
  int count = progress[progressCount];
  bool active = false;
  for (int base = 0; base < rows; base += threads) { // the same trip count for all threads
    const int row = base + static_cast<int>(threadIdx.x);
    int *state = progress + progressHeader + 2 * row;
    int id = -1, status = statusStopped;
    bool emits = false, ends = false;
    if (row < rows) {
      int emitted = state[0];
      const int before = status = state[1];
      if (due(row, before)) {
        id = next[row];
        status = statusActive;
        for (int i = 0; i < request[requestStopCount]; ++i)
          if (request[requestStops + i] == id)
            status = statusStopped;
        emits = status == statusActive;
        emitted += emits;
        const int length = promptEnd(request, row) - promptBegin(request, row);
        if (emits && emitted >= request[requestHeader + 2 * row + 1])
          status = statusLength;
        else if (emits && length + emitted >= positions)
          status = statusContext;
        else if (emits && !cancelled)
          step.set(row, id, previous(row), length + emitted - 1, emitted);
        state[0] = emitted;
      }
      if (cancelled && status <= statusActive)
        status = statusCancelled;
      ends = before <= statusActive && status > statusActive;
      if (ends)
        step.clear(row);
      state[1] = status;
      active |= status == statusActive;
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
    int *pair = ring + ringHeader + 2 * place;
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
    progress[progressCount] = count;
    storeToHost(ring + ringCount, count);
  }
  return {active, cancelled};
}
