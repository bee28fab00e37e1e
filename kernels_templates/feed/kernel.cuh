// feed<max_seq>: between two chunks of a generation's prompts. With accept, rows whose prompt
// ended in the chunk that has just run take their first token from `next`, and become steps of the decode entry unless
// that ends them (common/generation.cuh). Then the next `slots` tokens of the prompts, which lie end to end, become the
// prefill entry's inputs; slots beyond are padding. Without accept: the first chunk of a request. go[0]: there is a
// chunk to run; go[1]: a row needs a step. Memory: one block, a thread a slot and a row; a few hundred bytes a row.
// Reductions: counts, in the order of rows.
template <int max_seq>
__device__ void feed(const int *prompt, const int *request, const int *next, int *progress, unsigned *go, int *ring,
                     int *tokens, int *prev, int *rows, int *positions, int *starts, int *ends, int *last, int *steps,
                     int *step_tokens, int *step_prev, int *step_rows, int *step_positions, int *step_starts,
                     int *step_ends, int *step_last, int *step_steps, int slots, int chunk_rows, int batch, int accept,
                     unsigned long long more, unsigned long long active) {
  constexpr int threads = 256;
  const StepInputs step = {step_tokens, step_prev, step_rows, step_positions,
                           step_starts, step_ends, step_last, step_steps};
  const int total = request[requestTokens];
  const int used = least(request[requestRows], least(chunk_rows, batch));
  const int cursor = accept ? progress[progressCursor] : -slots, begin = cursor + slots; // the chunk to fill
  if (!accept) {
    for (int row = threadIdx.x; row < used; row += threads)
      progress[progressHeader + 2 * row] = progress[progressHeader + 2 * row + 1] = 0;
    for (int row = threadIdx.x; row < batch; row += threads) {
      step.clear(row);
      step_starts[row] = step_ends[row] = step_steps[row] = 0;
    }
    if (threadIdx.x == 0)
      progress[progressCount] = 0;
  }
  __syncthreads();
  const Accepted now = acceptTokens<threads>(
      request, next, progress, ring, used, max_seq, step,
      [&](int row, int status) {
        const int end = promptEnd(request, row);
        return status == statusWaiting && end > cursor && end <= begin;
      },
      [&](int row) { return prompt[promptEnd(request, row) - 1]; }, [] {});

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
    tokens[slot] = holds ? prompt[at] : -1;
    prev[slot] = position > 0 ? prompt[at - 1] : -1;
    rows[slot] = holds ? row : -1;
    positions[slot] = position;
  }
  for (int row = threadIdx.x; row < chunk_rows; row += threads) {
    const bool in = row < used;
    const int first = in ? promptBegin(request, row) : 0, end = in ? promptEnd(request, row) : 0;
    // How much of the prompt lies before `at`.
    auto held = [&](int at) { return at <= first ? 0 : least(at, end) - first; };
    starts[row] = held(begin);
    ends[row] = held(begin + slots);
    last[row] = in && end > begin && end <= begin + slots ? end - 1 - begin : -1;
    steps[row] = in && end <= begin ? 1 : 0;
  }
  if (threadIdx.x == 0) {
    const bool chunk = begin < total && !now.cancelled;
    progress[progressCursor] = begin;
    go[0] = chunk;
    go[1] = now.active;
    setCondition(more, chunk);
    setCondition(active, now.active);
  }
}
