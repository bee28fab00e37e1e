// Rows to which others are added through a gate. Memory: a warp per row, 16-byte vectors, each element once.
// Reductions: the gate's dot product in f32, strided over the lanes, then across the warp.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/rows/gate.cuh"

// y[n, C] = u + lambda * sigmoid(dot(u[0:channels], gate)) * prev
template <typename P, typename Args>
__device__ inline void smearRows(const Grid &grid, unsigned char *, const Args &args) {
  using T = typename P::T;
  constexpr int C = P::C, lanes = vectorOf<T>(C);
  const long long token = grid.warp();
  if (token >= args.n)
    return;
  const T *u = args.u + token * C, *prev = args.prev + token * C;
  T *y = args.y + token * C;
  const float factor = gateOf(args.lambda[0], warpDot<P::channels>(u, args.gate));
  for (int i = threadIdx.x % 32 * lanes; i < C; i += 32 * lanes) {
    float a[lanes], b[lanes];
    load(u + i, a);
    load(prev + i, b);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      a[l] += factor * b[l];
    store(y + i, a);
  }
}

// y[t, g, :] = v[t, g, :] + range * sigmoid(dot(h[t, 0:channels], gate[g])) * table[token][g, :]; token -1 (padding)
// copies v. v, y [n, heads * D], h [n, C], gate [heads, channels].
template <typename P, typename Args>
__device__ inline void valueGateRows(const Grid &grid, unsigned char *, const Args &args) {
  using T = typename P::T;
  constexpr int heads = P::heads, D = P::D, channels = P::channels, lanes = vectorOf<T>(D);
  const long long head = grid.warp(); // of all tokens
  if (head >= static_cast<long long>(args.n) * heads)
    return;
  const long long t = head / heads;
  const int g = static_cast<int>(head % heads), token = args.tokens[t];
  const float factor =
      gateOf(args.range, warpDot<channels>(args.h + t * P::C, args.gate + static_cast<long long>(g) * channels));
  for (int i = threadIdx.x % 32 * lanes; i < D; i += 32 * lanes) {
    float a[lanes];
    load(args.v + head * D + i, a);
    if (token >= 0) {
      float b[lanes];
      load(args.table + (static_cast<long long>(token) * heads + g) * D + i, b);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        a[l] += factor * b[l];
    }
    store(args.y + head * D + i, a);
  }
}
