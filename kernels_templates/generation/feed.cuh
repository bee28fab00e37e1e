// feed: between two chunks of a generation's prompts. With accept, rows whose prompt ended in the chunk that has just
// run take their first token from `next`, and become steps of the decode entry unless that ends them (accept.cuh). Then
// the next `slots` tokens of the prompts, which lie end to end, become the prefill entry's inputs; slots beyond are
// padding. Without accept: the first chunk of a request. go tells whether there is a chunk to run, and whether a row
// needs a step. Memory: one block, a thread a slot and a row; a few hundred bytes a row. Reductions: counts, in the
// order of rows.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/generation/accept.cuh"

template <typename P, typename Args> __device__ inline void feed(const Grid &, unsigned char *shared, const Args &a) {
  namespace words = kernels::generation;
  constexpr int threads = kernels::GenerationLayout::feedThreads;
  const int *prompt = a.prompt, *request = a.request;
  int *progress = a.progress;
  const int slots = a.slots;
  const StepInputs step = {a.step_tokens, a.step_prev, a.step_rows, a.step_positions,
                           a.step_starts, a.step_ends, a.step_last, a.step_steps};
  const int total = request[words::requestTokens];
  const int used = least(request[words::requestRows], least(a.chunk_rows, a.batch));
  const int cursor = a.accept ? progress[words::progressCursor] : -slots, begin = cursor + slots; // the chunk to fill
  if (!a.accept) {
    for (int row = threadIdx.x; row < used; row += threads)
      progress[words::progressHeader + 2 * row + words::rowEmitted] =
          progress[words::progressHeader + 2 * row + words::rowStatus] = words::waiting;
    for (int row = threadIdx.x; row < a.batch; row += threads) {
      step.clear(row);
      step.starts[row] = step.ends[row] = step.steps[row] = 0;
    }
    if (threadIdx.x == 0)
      progress[words::progressCount] = 0;
  }
  __syncthreads();
  const Accepted now = acceptTokens<threads>(
      request, a.next, progress, a.ring, used, P::max_seq, step,
      [&](int row, int status) {
        const int end = promptEnd(request, row);
        return status == words::waiting && end > cursor && end <= begin;
      },
      [&](int row) { return prompt[promptEnd(request, row) - 1]; }, [] {}, shared);

  for (int slot = threadIdx.x; slot < slots; slot += threads) {
    const int at = begin + slot;
    const bool holds = at < total;
    int row = 0; // the first whose prompt ends behind `at`
    for (int rest = holds ? used : 0; rest > 0;) {
      const int half = rest / 2;
      const bool before = promptEnd(request, row + half) <= at;
      row += before ? half + 1 : 0;
      rest = before ? rest - half - 1 : half;
    }
    const int position = holds ? at - promptBegin(request, row) : 0;
    a.tokens[slot] = holds ? prompt[at] : -1;
    a.prev[slot] = position > 0 ? prompt[at - 1] : -1;
    a.rows[slot] = holds ? row : -1;
    a.positions[slot] = position;
  }
  for (int row = threadIdx.x; row < a.chunk_rows; row += threads) {
    const bool in = row < used;
    const int first = in ? promptBegin(request, row) : 0, end = in ? promptEnd(request, row) : 0;
    // How much of the prompt lies before `at`.
    auto held = [&](int at) { return at <= first ? 0 : least(at, end) - first; };
    a.starts[row] = held(begin);
    a.ends[row] = held(begin + slots);
    a.last[row] = in && end > begin && end <= begin + slots ? end - 1 - begin : -1;
    a.steps[row] = in && end <= begin ? 1 : 0;
  }
  if (threadIdx.x == 0) {
    const bool chunk = begin < total && !now.cancelled;
    progress[words::progressCursor] = begin;
    a.go[words::goChunks] = chunk;
    a.go[words::goSteps] = now.active;
    setCondition(a.more, chunk);
    setCondition(a.active, now.active);
  }
}
