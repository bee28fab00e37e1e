// From qkv [n, heads + 2 kv_heads, D]: q [n, heads, D] and k [n, kv_heads, D], rotated by table [positions, D],
// RMS-normed per head and multiplied by mult, and v [n, kv_heads, D], to which the gate adds (value_gate.cuh). Memory:
// a block of 128 threads per token; a group of lanes per head, each element once in vectors of at most 16 bytes, and
// the gate's row of x once. Reductions: the norm's sum across the group.

#pragma once

#include "kernels_templates/attention/prepare_layout.h"
#include "kernels_templates/attention/value_gate.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"

// Engine `simt`: P has T, P (the table's type), heads, kv_heads, D, and what the gate needs.
template <typename P, template <typename> class Gate, typename Args>
__device__ inline void prepareQkv(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  using Angle = typename P::P;
  constexpr int heads = P::heads, kv_heads = P::kv_heads, D = P::D, threads = kernels::PrepareLayout::threads;
  constexpr int half = D / 2, width = least(vectorOf<T>(half), vectorOf<Angle>(half)), vectors = half / width;
  constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, groups = threads / lanes;
  const int t = grid.block, group = threadIdx.x / lanes, lane = threadIdx.x % lanes;
  const T *x = a.qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
  const Angle *angles = a.table + static_cast<long long>(a.positions[t]) * D;
  T *q = a.q + static_cast<long long>(t) * heads * D, *k = a.k + static_cast<long long>(t) * kv_heads * D;
  T *v = a.v + static_cast<long long>(t) * kv_heads * D;

  for (int base = 0; base < heads + kv_heads; base += groups) { // the same trip count for all lanes
    const int head = base + group;
    const bool inside = head < heads + kv_heads;
    float low[pieces][width], high[pieces][width], squares = 0;
#pragma unroll
    for (int i = 0; i < pieces; ++i) {
      const int d = (lane + i * lanes) * width;
      if (!inside || d >= half)
        break;
      float c[width], s[width];
      load(x + head * D + d, low[i]);
      load(x + head * D + half + d, high[i]);
      load(angles + d, c);
      load(angles + half + d, s);
#pragma unroll
      for (int l = 0; l < width; ++l) {
        const float first = low[i][l] * c[l] + high[i][l] * s[l];
        high[i][l] = high[i][l] * c[l] - low[i][l] * s[l];
        low[i][l] = first;
        squares += low[i][l] * low[i][l] + high[i][l] * high[i][l];
      }
    }
    const float factor = a.mult * normScale(groupSum<lanes>(squares), D);
    T *to = head < heads ? q + head * D : k + (head - heads) * D;
#pragma unroll
    for (int i = 0; i < pieces; ++i) {
      const int d = (lane + i * lanes) * width;
      if (!inside || d >= half)
        break;
#pragma unroll
      for (int l = 0; l < width; ++l) {
        low[i][l] *= factor;
        high[i][l] *= factor;
      }
      store(to + d, low[i]);
      store(to + half + d, high[i]);
    }
  }

  constexpr int piece = vectorOf<T>(D);
  Gate<P> gate(a);
  gate.open(t, shared);
  for (int i = threadIdx.x * piece; i < kv_heads * D; i += threads * piece) {
    float value[piece];
    load(x + (heads + kv_heads) * D + i, value);
#pragma unroll
    for (int l = 0; l < piece; ++l)
      value[l] += gate.at(i / D, i + l);
    store(v + i, value);
  }
}
