// What the products need to know of an operand's format besides the size of an element. Those of wgmma are beside its
// instructions (wgmma.cuh).
#pragma once

#include "kernels_templates/device/types.cuh"

template <typename T> struct Format;

template <> struct Format<float> {
  static constexpr bool tensorCores = false; // f32 plans use no TF32
};

template <> struct Format<bf16> {
  static constexpr bool tensorCores = true;

  // Of two neighbours, and of the eight of 16 bytes, each after the other.
  __device__ static float squares(unsigned pair) {
    const float low = __uint_as_float(pair << 16), high = __uint_as_float(pair & 0xffff0000u);
    return low * low + high * high;
  }
  __device__ static float squares(uint4 x) {
    const unsigned words[4] = {x.x, x.y, x.z, x.w};
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float low = __uint_as_float(words[i] << 16), high = __uint_as_float(words[i] & 0xffff0000u);
      sum += low * low;
      sum += high * high;
    }
    return sum;
  }
};

// A row of weights on its way to tensor cores of bf16: eight neighbours from shared memory.
template <typename W> struct Weights;

template <> struct Weights<bf16> {
  __device__ static uint4 eight(const unsigned char *from) { return *reinterpret_cast<const uint4 *>(from); }
};

template <> struct Weights<e4m3> {
  __device__ static uint4 eight(const unsigned char *from) {
    const uint2 codes = *reinterpret_cast<const uint2 *>(from);
    const uint2 low = widenE4m3(codes.x), high = widenE4m3(codes.y);
    return make_uint4(low.x, low.y, high.x, high.y);
  }
};
