// Element types on the device.
#pragma once

struct bf16 {
  unsigned short bits;
};

// A sign, 4 bits of exponent with the bias 7, 3 of mantissa. No infinities; NaN where all but the sign are ones, which
// no weight is: a row with such values has the scale NaN.
struct e4m3 {
  unsigned char bits;
};

__device__ inline float toFloat(float x) { return x; }
__device__ inline float toFloat(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

// By the bits in the places of f32's, whose bias is larger by 120.
__device__ inline float toFloat(e4m3 x) {
  return __uint_as_float((x.bits & 0x80u) << 24 | (x.bits & 0x7fu) << 20) * __uint_as_float((127u + 120u) << 23);
}

// Four e4m3, the first in the lowest byte, as bf16, which has all their values: in the places of its bits, times 2^120.
__device__ inline uint2 widenE4m3(unsigned codes) {
  unsigned wide[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const unsigned pair = __byte_perm(codes, 0, i == 0 ? 0x1404 : 0x3424);
    const unsigned small = (pair >> 4 & 0x07f007f0) | (pair & 0x80008000);
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(wide[i]) : "r"(small), "r"(0x7b807b80), "r"(0x80008000));
  }
  return make_uint2(wide[0], wide[1]);
}

// What a pointer points to.
template <typename T> struct PointeeOf;
template <typename T> struct PointeeOf<const T *> { using Type = T; };

// Rounds to nearest, ties to even.
template <typename T> __device__ T fromFloat(float x);
template <> __device__ inline float fromFloat<float>(float x) { return x; }
template <> __device__ inline bf16 fromFloat<bf16>(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

__device__ inline float infinity() { return __uint_as_float(0x7f800000u); }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
