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
                                        int positions, const StepInputs &step, Due due, Previous previous, Wait wait) {
  __shared__ int totals[threads / 32], cancel, stops[requestHeader - requestStops];
  const int stopCount = request[requestStopCount];
#pragma unroll 1
  for (int i = threadIdx.x; i < stopCount; i += threads)
    stops[i] = request[requestStops + i];
  if (threadIdx.x == 0)
    cancel = loadFromHost(ring + ringCancel);
  auto fetch = [&](int row) {
    AcceptedRow own = {0, statusStopped, 0, 0, -1, false};
    if (row < rows) {
      own.emitted = progress[progressHeader + 2 * row];
      own.status = progress[progressHeader + 2 * row + 1];
      own.due = due(row, own.status);
    }
    if (own.due) {
      own.length = promptEnd(request, row) - promptBegin(request, row);
      own.limit = request[requestHeader + 2 * row + 1];
      own.previous = previous(row);
    }
    return own;
  };
  AcceptedRow own = fetch(threadIdx.x);
  int count = progress[progressCount];
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
      int *state = progress + progressHeader + 2 * row;
      if (own.due) {
        id = next[row];
        status = statusActive;
#pragma unroll 1
        for (int i = 0; i < stopCount; ++i)
          if (stops[i] == id)
            status = statusStopped;
        emits = status == statusActive;
        const int emitted = own.emitted + emits;
        if (emits && emitted >= own.limit)
          status = statusLength;
        else if (emits && own.length + emitted >= positions)
          status = statusContext;
        else if (emits && !cancelled)
          step.set(row, id, own.previous, own.length + emitted - 1, emitted);
        state[0] = emitted;
      }
      if (cancelled && status <= statusActive)
        status = statusCancelled;
      ends = own.status <= statusActive && status > statusActive;
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
