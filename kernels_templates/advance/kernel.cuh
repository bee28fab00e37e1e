// advance<max_seq>: the end of a decode step of a generation. Every active row takes its token from `next` and goes
// one position on, or ends (common/generation.cuh); rows that have ended take no part any more. go[1]: a row needs
// another step. All that it reads but `next` is the host's, or its own of the step before. Memory: one block, a thread
// a row; a few words a row. Reductions: counts, in the order of rows.
template <int max_seq>
__device__ void advance(const int *request, const int *next, int *progress, unsigned *go, int *ring, int *tokens,
                        int *prev, int *rows, int *positions, int *starts, int *ends, int *last, int *steps, int batch,
                        unsigned long long active) {
  const StepInputs step = {tokens, prev, rows, positions, starts, ends, last, steps};
  const int used = least(request[requestRows], batch);
  const Accepted now = acceptTokens<128>(
      request, next, progress, ring, used, max_seq, step, [](int, int status) { return status == statusActive; },
      [&](int row) { return tokens[row]; }, [] { waitForProducers(); });
  if (threadIdx.x == 0) {
    go[1] = now.active;
    setCondition(active, now.active);
  }
}
