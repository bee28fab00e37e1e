// y[n, width] = x * rsqrt(mean(x^2) + 2^-23), per row. Memory: one warp per row, 16-byte vectors; the second reading of
// the row comes from L1. Reductions: the sum of squares in f32, strided over the lanes, then across the warp.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"

template <typename P, typename Args> __device__ inline void normRows(const Grid &grid, unsigned char *, const Args &a) {
  using T = typename P::T;
  constexpr int width = P::width, lanes = vectorOf<T>(width);
  const long long row = grid.warp();
  if (row >= a.n)
    return;
  const T *x = a.x + row * width;
  T *y = a.y + row * width;
  float squares = 0;
  for (int i = threadIdx.x % 32 * lanes; i < width; i += 32 * lanes) {
    float v[lanes];
    load(x + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      squares += v[l] * v[l];
  }
  const float factor = normScale(warpSum(squares), width);
  for (int i = threadIdx.x % 32 * lanes; i < width; i += 32 * lanes) {
    float v[lanes];
    load(x + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] *= factor;
    store(y + i, v);
  }
}
