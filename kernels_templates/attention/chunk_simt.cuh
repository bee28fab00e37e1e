// Attention of a chunk of tokens: y[t, h, :] = softmax over j of scale * q[t, h] . k[j, g], times v[j, g], with
// g = h / (heads / kv_heads) and max(0, p - window) <= j <= p for the token's position p. Keys j >= starts[row] are of
// this chunk, at slot t - (p - j) of k and v [n, kv_heads, D]; older ones in kv [rows, 2, kv_heads, ring, D] at slot j
// % ring. Row -1 (padding) gives zeros. Memory: one block of 256 threads per token and query head; a group of lanes
// holds one key in 16-byte vectors, four keys are in flight per group; neighbouring blocks share keys through L2.
// Reductions: dot products across a group; each group runs its own online softmax over every groups-th key from the
// window's first, and the groups merge in order, so the result depends on the window and not on how tokens are batched.

#pragma once

#include "kernels_templates/attention/chunk_simt_layout.h"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/vector.cuh"

// Engine `simt`: P has T, heads, kv_heads, D and ring.
template <typename P, typename Args>
__device__ inline void chunkSimt(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int heads = P::heads, kv_heads = P::kv_heads, D = P::D, ring = P::ring;
  constexpr kernels::ChunkSimtLayout layout(sizeof(T), D);
  constexpr int threads = layout.threads, width = layout.width, vectors = layout.vectors;
  constexpr int lanes = layout.lanes, pieces = (vectors + lanes - 1) / lanes;
  constexpr int groups = layout.groups, unroll = pieces == 1 ? 4 : 1;
  float *tops = reinterpret_cast<float *>(shared + layout.tops);
  float *sums = reinterpret_cast<float *>(shared + layout.sums);
  auto &parts = *reinterpret_cast<float(*)[groups][D]>(shared + layout.parts);
  const T *q = a.q, *k = a.k, *v = a.v, *kv = a.kv;
  const int window = a.window;
  const float scale = a.scale;

  const long long head = grid.block; // of all tokens
  const long long t = head / heads;
  if (t >= a.n)
    return;
  const int g = static_cast<int>(head % heads) / (heads / kv_heads);
  const int row = a.rows[t];
  T *y = a.y + head * D;
  if (row < 0) {
    for (int d = threadIdx.x; d < D; d += threads)
      y[d] = fromFloat<T>(0);
    return;
  }
  const int position = a.positions[t], start = a.starts[row], group = threadIdx.x / lanes, lane = threadIdx.x % lanes;
  const int first = position > window ? position - window : 0;

  // `part` 0: the key, 1: the value of position j.
  auto at = [&](int part, int j) {
    if (j >= start)
      return (part == 0 ? k : v) + ((t - (position - j)) * kv_heads + g) * D;
    return kv + (((static_cast<long long>(row) * 2 + part) * kv_heads + g) * ring + j % ring) * D;
  };

  float query[pieces][width], out[pieces][width] = {}, top = -infinity(), sum = 0;
#pragma unroll
  for (int i = 0; i < pieces; ++i)
    if (lane + i * lanes < vectors)
      load(q + head * D + (lane + i * lanes) * width, query[i]);

  for (long long base = first; base <= position; base += groups * unroll) { // the same trip count for all lanes
    float score[unroll], best = top;
#pragma unroll
    for (int u = 0; u < unroll; ++u) {
      const long long j = base + u * groups + group;
      float partial = 0;
#pragma unroll
      for (int i = 0; i < pieces; ++i)
        if (j <= position && lane + i * lanes < vectors) {
          float key[width];
          load(at(0, static_cast<int>(j)) + (lane + i * lanes) * width, key);
#pragma unroll
          for (int l = 0; l < width; ++l)
            partial += query[i][l] * key[l];
        }
      partial = groupSum<lanes>(partial); // all lanes of the warp take part
      score[u] = j <= position ? scale * partial : -infinity();
      best = fmaxf(best, score[u]);
    }
    if (best == -infinity())
      continue; // no key yet
    const float shrink = expf(top - best);
    top = best;
    sum *= shrink;
#pragma unroll
    for (int i = 0; i < pieces; ++i)
#pragma unroll
      for (int l = 0; l < width; ++l)
        out[i][l] *= shrink;
#pragma unroll
    for (int u = 0; u < unroll; ++u) {
      const long long j = base + u * groups + group;
      if (j > position)
        break;
      const float weight = expf(score[u] - best);
      sum += weight;
#pragma unroll
      for (int i = 0; i < pieces; ++i)
        if (lane + i * lanes < vectors) {
          float value[width];
          load(at(1, static_cast<int>(j)) + (lane + i * lanes) * width, value);
#pragma unroll
          for (int l = 0; l < width; ++l)
            out[i][l] += weight * value[l];
        }
    }
  }

  if (lane == 0) {
    tops[group] = top;
    sums[group] = sum;
  }
#pragma unroll
  for (int i = 0; i < pieces; ++i)
    if (lane + i * lanes < vectors)
#pragma unroll
      for (int l = 0; l < width; ++l)
        parts[group][(lane + i * lanes) * width + l] = out[i][l];
  __syncthreads();
  for (int d = threadIdx.x; d < D; d += threads) {
    float best = -infinity(), total = 0, value = 0;
    for (int i = 0; i < groups; ++i)
      best = fmaxf(best, tops[i]);
    for (int i = 0; i < groups; ++i) {
      const float weight = expf(tops[i] - best); // 0 for a group without keys
      total += weight * sums[i];
      value += weight * parts[i][d];
    }
    y[d] = fromFloat<T>(value / total);
  }
}
