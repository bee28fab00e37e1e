// Vector access: loads and stores of up to 16 bytes that convert from and to f32. Buffers are aligned to 16 bytes or
// more. Plain loads on purpose: under programmatic dependent launch an activation is not read-only for a kernel's
// lifetime, so it must never become ld.global.nc.
#pragma once

#include "kernels_templates/device/types.cuh"

template <int bytes> struct Word;
template <> struct Word<1> { using Type = unsigned char; };
template <> struct Word<2> { using Type = unsigned short; };
template <> struct Word<4> { using Type = unsigned; };
template <> struct Word<8> { using Type = uint2; };
template <> struct Word<16> { using Type = uint4; };

// Elements per access such that accesses of at most 16 bytes tile a row of `width` elements. Rows then start aligned
// too.
template <typename T> __host__ __device__ constexpr int vectorOf(int width) {
  int lanes = 16 / static_cast<int>(sizeof(T));
  while (width % lanes != 0)
    lanes /= 2;
  return lanes;
}

__host__ __device__ constexpr int least(int a, int b) { return a < b ? a : b; }

// The smallest power of two that is at least `count`, but no more than a warp.
__host__ __device__ constexpr int powerOfTwo(int count) {
  int power = 1;
  while (power < count && power < 32)
    power *= 2;
  return power;
}

template <int lanes, typename T> __device__ inline void load(const T *p, float (&x)[lanes]) {
  union {
    typename Word<lanes * sizeof(T)>::Type word;
    T element[lanes];
  } u;
  u.word = *reinterpret_cast<const typename Word<lanes * sizeof(T)>::Type *>(p);
#pragma unroll
  for (int i = 0; i < lanes; ++i)
    x[i] = toFloat(u.element[i]);
}

template <int lanes, typename T> __device__ inline void store(T *p, const float (&x)[lanes]) {
  union {
    typename Word<lanes * sizeof(T)>::Type word;
    T element[lanes];
  } u;
#pragma unroll
  for (int i = 0; i < lanes; ++i)
    u.element[i] = fromFloat<T>(x[i]);
  *reinterpret_cast<typename Word<lanes * sizeof(T)>::Type *>(p) = u.word;
}
