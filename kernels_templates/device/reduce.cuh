// Reductions in a fixed order, so that the same inputs give the same bits. Every thread of the group gets the result.
#pragma once

#include "kernels_templates/device/types.cuh"

// Over groups of `lanes` neighbouring lanes of a warp (a power of two).
template <int lanes> __device__ inline float groupSum(float x) {
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2)
    x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

__device__ inline float warpSum(float x) { return groupSum<32>(x); }

__device__ inline float warpMax(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

// Over a block of `threads` threads, all of which call it, by a float of shared memory for each warp.
template <int threads> __device__ inline float blockSum(float x, float *partial) {
  x = warpSum(x);
  __syncthreads(); // a previous call's readers are done
  if (threadIdx.x % 32 == 0)
    partial[threadIdx.x / 32] = x;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < threads / 32; ++i)
    total += partial[i];
  return total;
}

template <int threads> __device__ inline float blockMax(float x, float *partial) {
  x = warpMax(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    partial[threadIdx.x / 32] = x;
  __syncthreads();
  float top = -infinity();
#pragma unroll
  for (int i = 0; i < threads / 32; ++i)
    top = fmaxf(top, partial[i]);
  return top;
}

// rsqrt(mean + 2^-23) of a sum of squares of `width` elements: upstream's F.rms_norm takes the epsilon of f32.
__device__ inline float normScale(float squares, int width) { return rsqrtf(squares / width + 0x1p-23f); }

// Sum of gate[i] * x[i] over a few channels, by one warp.
template <int channels, typename T> __device__ inline float warpDot(const T *x, const T *gate) {
  float sum = 0;
  for (int i = threadIdx.x % 32; i < channels; i += 32)
    sum += toFloat(x[i]) * toFloat(gate[i]);
  return warpSum(sum);
}
