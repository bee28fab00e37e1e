// advance: the end of a decode step of a generation. Every active row takes its token from `next` and goes one position
// on, or ends (accept.cuh); rows that have ended take no part any more. go tells whether a row needs another step. All
// that it reads but `next` is the host's, or its own of the step before. Memory: one block, a thread a row; a few words
// a row. Reductions: counts, in the order of rows.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/generation/accept.cuh"

template <typename P, typename Args>
__device__ inline void advance(const Grid &, unsigned char *shared, const Args &a) {
  namespace words = kernels::generation;
  const StepInputs step = {a.tokens, a.prev, a.rows, a.positions, a.starts, a.ends, a.last, a.steps};
  const int used = least(a.request[words::requestRows], a.batch);
  const Accepted now = acceptTokens<kernels::GenerationLayout::advanceThreads>(
      a.request, a.next, a.progress, a.ring, used, P::max_seq, step,
      [](int, int status) { return status == words::active; }, [&](int row) { return a.tokens[row]; },
      [] { waitForProducers(); }, shared);
  if (threadIdx.x == 0) {
    a.go[words::goSteps] = now.active;
    setCondition(a.active, now.active);
  }
}
