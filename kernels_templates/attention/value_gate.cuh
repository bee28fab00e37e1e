// What is added to the values of new tokens, as traits that the engines of attention_step and prepare_qkv are composed
// with: nothing, or range * sigmoid(dot(rms_norm(x[t])[0:channels], gate[g])) * embeds[token][g, :]; token -1 adds
// nothing. x [n, C], embeds [*, kv_heads * D], gate [kv_heads, channels]. The norm's factor multiplies the gate's f32
// dot product. A trait is made of the kernel's arguments, by their names.
//
// A step has a warp for a token's head: prefetch(), which may come before the wait for the producers, and add().
// Preparing has a block for a token: open() and at(). What the two read of a row of x, they read in loops of their own:
// a warp has all loads of a row under way at a time.

#pragma once

#include "kernels_templates/attention/prepare_layout.h"
#include "kernels_templates/attention/warp_head.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/vector.cuh"

// Values as the linear layer made them.
template <typename P> struct NoGate {
  template <typename Args> __device__ explicit NoGate(const Args &) {}
  __device__ void prefetch(int, int) {}
  template <typename Head> __device__ void add(int, int, Head &) const {}
  __device__ void open(int, unsigned char *) {}
  __device__ float at(int, int) const { return 0; }
};

template <typename P> struct ValueGate {
  using T = typename P::T;
  static constexpr int kv_heads = P::kv_heads, D = P::D, C = P::C, channels = P::channels;
  static constexpr int lanes = vectorOf<T>(C);

  const T *x;
  const int *tokens;
  const T *embeds, *gate;
  const float range;
  WarpHead<D> embedding; // of a warp's head
  const T *added;        // to a block's token; null: nothing
  float *factors;        // of each of its heads

  template <typename Args>
  __device__ explicit ValueGate(const Args &a)
      : x(a.x), tokens(a.tokens), embeds(a.embeds), gate(a.gate), range(a.range) {}

  // Of a token's embedding, from head g on.
  __device__ const T *embeddingOf(int t, int g) const {
    return embeds + (static_cast<long long>(tokens[t]) * kv_heads + g) * D;
  }
  __device__ static void addSquares(float &squares, const float (&v)[lanes]) {
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      squares += v[l] * v[l];
  }
  // Of head g, by a warp; `in` is the token's row of x and `norm` what normalises it.
  __device__ float productOf(const T *in, int g) const { return warpDot<channels>(in, gate + g * channels); }
  __device__ float factorOf(float product, float norm) const { return range * sigmoid(product * norm); }

  __device__ void prefetch(int t, int g) {
    if (tokens[t] >= 0)
      embedding.load(embeddingOf(t, g));
    else
      embedding = {};
  }
  __device__ void add(int t, int g, WarpHead<D> &head) const {
    constexpr int steps = (C + 32 * lanes - 1) / (32 * lanes);
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0;
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      const int i = (static_cast<int>(threadIdx.x % 32) + step * 32) * lanes;
      float v[lanes] = {};
      if (i < C)
        load(in + i, v);
      addSquares(squares, v);
    }
    const float product = productOf(in, g);
    const float factor = factorOf(product, normScale(warpSum(squares), C));
#pragma unroll
    for (int i = 0; i < WarpHead<D>::pairs; ++i) {
      head.a[i] += factor * embedding.a[i];
      head.b[i] += factor * embedding.b[i];
    }
  }

  __device__ void open(int t, unsigned char *shared) {
    using Layout = kernels::PrepareLayout;
    factors = reinterpret_cast<float *>(shared + Layout::factors);
    added = tokens[t] < 0 ? nullptr : embeddingOf(t, 0);
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0;
    for (int i = threadIdx.x * lanes; i < C; i += Layout::threads * lanes) {
      float v[lanes];
      load(in + i, v);
      addSquares(squares, v);
    }
    const float sum = blockSum<Layout::threads>(squares, reinterpret_cast<float *>(shared + Layout::partials));
    const float norm = normScale(sum, C);
    for (int g = threadIdx.x / 32; g < kv_heads; g += Layout::threads / 32) {
      const float product = productOf(in, g);
      if (threadIdx.x % 32 == 0)
        factors[g] = factorOf(product, norm);
    }
    __syncthreads();
  }
  __device__ float at(int g, int i) const { return added ? factors[g] * toFloat(added[i]) : 0; }
};
