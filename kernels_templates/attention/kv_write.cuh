// The keys and values of a chunk go to their rows' rings: token t of row r at position p goes to slot p % ring of kv
// [rows, 2, kv_heads, ring, D] iff p >= ends[r] - ring, where ends[r] is the number of positions the row holds after
// this chunk: of several tokens that map to one slot just the newest is written, so no two threads write one element.
// Row -1 (padding) writes nothing. Memory: a thread per 16-byte vector of k and of v, each element once. Reductions:
// none.

#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/vector.cuh"

// Engine `simt`: P has T, kv_heads, D and ring.
template <typename P, typename Args> __device__ inline void kvWrite(const Grid &grid, unsigned char *, const Args &a) {
  using T = typename P::T;
  constexpr int kv_heads = P::kv_heads, D = P::D, ring = P::ring;
  constexpr int lanes = vectorOf<T>(D);
  constexpr int vectors = D / lanes;
  const long long thread = grid.thread(), head = thread / vectors; // of all tokens
  const int i = static_cast<int>(thread % vectors) * lanes;
  if (head >= static_cast<long long>(a.n) * kv_heads)
    return;
  const long long t = head / kv_heads;
  const int g = static_cast<int>(head % kv_heads), row = a.rows[t], position = a.positions[t];
  if (row < 0 || position < a.ends[row] - ring)
    return;
  T *keys = a.kv + ((static_cast<long long>(row) * 2 * kv_heads + g) * ring + position % ring) * D + i;
  float x[lanes];
  load(a.k + head * D + i, x);
  store(keys, x);
  load(a.v + head * D + i, x);
  store(keys + static_cast<long long>(kv_heads) * ring * D, x);
}
