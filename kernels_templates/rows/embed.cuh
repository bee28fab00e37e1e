// Embeddings with all that follows them up to the first layer: a block of 256 threads per token, 16-byte vectors; the
// second reading of a row comes from L1. Sums in f32, strided over the threads, then across the block.
//
// Bodies are composed with what becomes of a token's channels: Store<P>(args, first) for the token whose channel 0 is
// element `first` of the outputs, store(i, v) for the channels i, i + 1, ...
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/rows/embed_layout.h"
#include "kernels_templates/rows/gate.cuh"

// y = v
template <typename P> struct StoreEmbedding {
  typename P::T *y;
  template <typename Args> __device__ StoreEmbedding(const Args &a, long long first) : y(a.y + first) {}
  template <int lanes> __device__ void operator()(int i, const float (&v)[lanes]) const { store(y + i, v); }
};

// x0 = v and y = resid[layer] * v + skip[layer] * v: the first mix, in which the residual is still x0.
template <typename P> struct StoreMixed {
  typename P::T *x0, *y;
  float resid, skip;
  template <typename Args>
  __device__ StoreMixed(const Args &a, long long first)
      : x0(a.x0 + first), y(a.y + first), resid(a.resid[a.layer]), skip(a.skip[a.layer]) {}
  template <int lanes> __device__ void operator()(int i, float (&v)[lanes]) const {
    store(x0 + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] = resid * v[l] + skip * v[l];
    store(y + i, v);
  }
};

// v = rms_norm(table[token]); token -1 (padding) gives zeros. P has T and C.
template <typename P, template <typename> class Store, typename Args>
__device__ inline void embedNorm(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int C = P::C, lanes = vectorOf<T>(C), threads = kernels::EmbedLayout::threads;
  float *partial = reinterpret_cast<float *>(shared);
  const int token = a.tokens[grid.block];
  const Store<P> put(a, static_cast<long long>(grid.block) * C);
  const T *row = a.table + static_cast<long long>(token) * C;
  float squares = 0;
  for (int i = threadIdx.x * lanes; i < C && token >= 0; i += threads * lanes) {
    float v[lanes];
    load(row + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      squares += v[l] * v[l];
  }
  const float factor = normScale(blockSum<threads>(squares, partial), C);
  for (int i = threadIdx.x * lanes; i < C; i += threads * lanes) {
    float v[lanes] = {};
    if (token >= 0)
      load(row + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] *= factor;
    put(i, v);
  }
}

// v = u + lambda * sigmoid(dot(u[0:channels], gate)) * p, where u = rms_norm(table[token]) and p =
// rms_norm(table[prev]), each zeros for id -1. The gate's dot product is of raw channels and scaled afterwards. P has
// T, C and channels.
template <typename P, template <typename> class Store, typename Args>
__device__ inline void embedSmear(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int C = P::C, lanes = vectorOf<T>(C), threads = kernels::EmbedLayout::threads;
  float *partial = reinterpret_cast<float *>(shared);
  const int token = a.tokens[grid.block], prev = a.prev[grid.block];
  const float lambda = a.lambda[0];
  const Store<P> put(a, static_cast<long long>(grid.block) * C);
  const T *row = a.table + static_cast<long long>(token) * C, *other = a.table + static_cast<long long>(prev) * C;
  float squares = 0, otherSquares = 0, product = 0;
  for (int i = threadIdx.x * lanes; i < C; i += threads * lanes) {
    float u[lanes] = {}, p[lanes] = {};
    if (token >= 0)
      load(row + i, u);
    if (prev >= 0)
      load(other + i, p);
#pragma unroll
    for (int l = 0; l < lanes; ++l) {
      squares += u[l] * u[l];
      otherSquares += p[l] * p[l];
      if (i + l < P::channels)
        product += u[l] * toFloat(a.gate[i + l]);
    }
  }
  const float factor = normScale(blockSum<threads>(squares, partial), C);
  const float otherFactor = gateOf(lambda, blockSum<threads>(product, partial) * factor) *
                            normScale(blockSum<threads>(otherSquares, partial), C);
  for (int i = threadIdx.x * lanes; i < C; i += threads * lanes) {
    float u[lanes] = {}, p[lanes] = {};
    if (token >= 0)
      load(row + i, u);
    if (prev >= 0)
      load(other + i, p);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      u[l] = u[l] * factor + p[l] * otherFactor;
    put(i, u);
  }
}
