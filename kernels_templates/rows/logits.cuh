// What is done with rows of logits, in f32.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/rows/logits_layout.h"

// y[n, V] = cap * tanh(z / cap) of the first V of Vp columns; cap 0 copies. Memory: one vector of up to 16 bytes per
// thread, each element once. Reductions: none.
template <typename P, typename Args>
__device__ inline void softcapRows(const Grid &grid, unsigned char *, const Args &a) {
  constexpr int V = P::V, Vp = P::Vp, lanes = least(vectorOf<float>(V), vectorOf<float>(Vp));
  constexpr int vectors = V / lanes;
  const long long row = grid.thread() / vectors;
  const int i = static_cast<int>(grid.thread() % vectors) * lanes;
  if (row >= a.n)
    return;
  float x[lanes];
  load(a.z + row * Vp + i, x);
  const float cap = a.cap;
  if (cap != 0) {
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      x[l] = cap * tanhf(x[l] / cap);
  }
  store(a.y + row * V + i, x);
}

// y[i] = logsumexp(logits[i]) - logits[i][target] of logits [n, V]; target -1 (padding) gives 0. Memory: one block per
// row; the second reading of the row comes from L2. Reductions: the maximum, then the sum of exponentials in f32,
// strided over the threads, across each warp, then over the warps in order.
template <typename P, typename Args>
__device__ inline void nllRows(const Grid &grid, unsigned char *shared, const Args &a) {
  constexpr int V = P::V, threads = kernels::NllLayout::threads;
  float *partial = reinterpret_cast<float *>(shared);
  const int row = static_cast<int>(grid.block);
  if (row >= a.n)
    return;
  const int target = a.targets[row];
  if (target < 0) {
    if (threadIdx.x == 0)
      a.y[row] = 0;
    return;
  }
  const float *logits = a.logits + static_cast<long long>(row) * V;
  float top = -infinity();
  for (int i = threadIdx.x; i < V; i += threads)
    top = fmaxf(top, logits[i]);
  top = blockMax<threads>(top, partial);
  float sum = 0;
  for (int i = threadIdx.x; i < V; i += threads)
    sum += expf(logits[i] - top);
  sum = blockSum<threads>(sum, partial);
  if (threadIdx.x == 0)
    a.y[row] = logf(sum) + (top - logits[target]);
}
