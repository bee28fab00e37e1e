// What is computed element by element. Memory: one 16-byte vector per thread, each element once. Reductions: none.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/vector.cuh"

// y[i] = f(a[i]) for i < count; a thread does one 16-byte vector, the last one element by element.
template <typename T, typename F>
__device__ inline void mapElements(const Grid &grid, int count, T *y, const T *a, F f) {
  constexpr int lanes = vectorOf<T>(16);
  const long long first = grid.thread() * lanes;
  if (first + lanes <= count) {
    float x[lanes];
    load(a + first, x);
#pragma unroll
    for (int i = 0; i < lanes; ++i)
      x[i] = f(x[i]);
    store(y + first, x);
  } else {
    for (long long i = first; i < count; ++i)
      y[i] = fromFloat<T>(f(toFloat(a[i])));
  }
}

// y[i] = f(a[i], b[i]) for i < count, likewise.
template <typename T, typename F>
__device__ inline void mapElements(const Grid &grid, int count, T *y, const T *a, const T *b, F f) {
  constexpr int lanes = vectorOf<T>(16);
  const long long first = grid.thread() * lanes;
  if (first + lanes <= count) {
    float x[lanes], z[lanes];
    load(a + first, x);
    load(b + first, z);
#pragma unroll
    for (int i = 0; i < lanes; ++i)
      x[i] = f(x[i], z[i]);
    store(y + first, x);
  } else {
    for (long long i = first; i < count; ++i)
      y[i] = fromFloat<T>(f(toFloat(a[i]), toFloat(b[i])));
  }
}

// y = factor * x
template <typename P, typename Args>
__device__ inline void scaleElements(const Grid &grid, unsigned char *, const Args &a) {
  const float factor = a.factor;
  mapElements(grid, a.count, a.y, a.x, [factor](float x) { return factor * x; });
}

// y = a + b
template <typename P, typename Args>
__device__ inline void addElements(const Grid &grid, unsigned char *, const Args &a) {
  mapElements(grid, a.count, a.y, a.a, a.b, [](float p, float q) { return p + q; });
}

// y = max(x, 0)^2, by a comparison rather than fmaxf, which would turn a NaN into 0 and hide it.
template <typename P, typename Args>
__device__ inline void relu2Elements(const Grid &grid, unsigned char *, const Args &a) {
  mapElements(grid, a.count, a.y, a.x, [](float x) { return x < 0 ? 0 : x * x; });
}

// y = resid[layer] * x + skip[layer] * x0
template <typename P, typename Args>
__device__ inline void mixElements(const Grid &grid, unsigned char *, const Args &a) {
  const float resid = a.resid[a.layer], skip = a.skip[a.layer];
  mapElements(grid, a.count, a.y, a.x, a.x0, [resid, skip](float x, float x0) { return resid * x + skip * x0; });
}

// y = x - lambda * mid
template <typename P, typename Args>
__device__ inline void backoutElements(const Grid &grid, unsigned char *, const Args &a) {
  const float lambda = a.lambda[0];
  mapElements(grid, a.count, a.y, a.x, a.mid, [lambda](float x, float mid) { return x - lambda * mid; });
}
