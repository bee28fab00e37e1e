// A head of a token as a warp works on it: rotation, norm and multiplier.

#pragma once

#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"

// A head as the lanes of a warp hold it: pairs of an element and that of the other half.
template <int D> struct WarpHead {
  static constexpr int half = D / 2, pairs = (half + 31) / 32;
  float a[pairs], b[pairs];

  template <typename T> __device__ void load(const T *from) {
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = static_cast<int>(threadIdx.x % 32) + i * 32;
      a[i] = d < half ? toFloat(from[d]) : 0;
      b[i] = d < half ? toFloat(from[half + d]) : 0;
    }
  }
  // Rotation by cosines `angles.a` and sines `angles.b`, norm and multiplier.
  __device__ void place(const WarpHead &angles, float mult) {
    float squares = 0;
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const float left = a[i], right = b[i];
      a[i] = left * angles.a[i] + right * angles.b[i];
      b[i] = right * angles.a[i] - left * angles.b[i];
      squares += a[i] * a[i] + b[i] * b[i];
    }
    const float factor = mult * normScale(warpSum(squares), D);
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      a[i] *= factor;
      b[i] *= factor;
    }
  }
  // put(d, element d)
  template <typename Put> __device__ void each(Put put) const {
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = static_cast<int>(threadIdx.x % 32) + i * 32;
      if (d >= half)
        break;
      put(d, a[i]);
      put(half + d, b[i]);
    }
  }
};
