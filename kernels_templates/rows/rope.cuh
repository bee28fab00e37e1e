// Rotates the halves a, b of each head by the token's position: y = [a c + b s, -a s + b c] with c =
// table[position][0:D/2] and s = table[position][D/2:D]; x, y [n, heads * D], table [positions, D] of type P. Memory: a
// thread per vector of both halves, each element once; the table comes from L1. Reductions: none.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/vector.cuh"

template <typename P, typename Args>
__device__ inline void ropeRows(const Grid &grid, unsigned char *, const Args &args) {
  using T = typename P::T;
  using Angle = typename P::P;
  constexpr int heads = P::heads, D = P::D, half = D / 2;
  constexpr int lanes = least(vectorOf<T>(half), vectorOf<Angle>(half));
  constexpr int vectors = half / lanes;
  const long long head = grid.thread() / vectors; // of all tokens
  const int i = static_cast<int>(grid.thread() % vectors) * lanes;
  if (head >= static_cast<long long>(args.n) * heads)
    return;
  const T *x = args.x + head * D;
  T *y = args.y + head * D;
  const Angle *angles = args.table + static_cast<long long>(args.positions[head / heads]) * D;
  float a[lanes], b[lanes], c[lanes], s[lanes];
  load(x + i, a);
  load(x + half + i, b);
  load(angles + i, c);
  load(angles + half + i, s);
#pragma unroll
  for (int l = 0; l < lanes; ++l) {
    const float first = a[l] * c[l] + b[l] * s[l];
    b[l] = b[l] * c[l] - a[l] * s[l];
    a[l] = first;
  }
  store(y + i, a);
  store(y + half + i, b);
}
