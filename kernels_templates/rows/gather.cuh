// Rows of a table by an index. Memory: one 16-byte vector per thread, read once and written once; no reuse. Reductions:
// none.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/vector.cuh"

// y[i] = table[index[i]] for rows of C elements; a negative index gives zeros.
template <typename T, int C>
__device__ inline void gatherRows(const Grid &grid, const int *index, const T *table, T *y, int n) {
  constexpr int lanes = vectorOf<T>(C);
  constexpr int vectors = C / lanes;
  const long long i = grid.thread() / vectors;
  const int column = static_cast<int>(grid.thread() % vectors) * lanes;
  if (i >= n)
    return;
  const int row = index[i];
  float x[lanes] = {};
  if (row >= 0)
    load(table + static_cast<long long>(row) * C + column, x);
  store(y + i * C + column, x);
}

// y[n, C] = table[tokens]; token -1 (padding) gives zeros.
template <typename P, typename Args>
__device__ inline void embedRows(const Grid &grid, unsigned char *, const Args &a) {
  gatherRows<typename P::T, P::C>(grid, a.tokens, a.table, a.y, a.n);
}

// y[r, C] = x[index]; index -1 (no such row) gives zeros.
template <typename P, typename Args> __device__ inline void lastRows(const Grid &grid, unsigned char *, const Args &a) {
  gatherRows<typename P::T, P::C>(grid, a.index, a.x, a.y, a.r);
}
