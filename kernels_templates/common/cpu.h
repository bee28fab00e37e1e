// Pieces that the CPU references share.
#pragma once

#include "kernels_templates/common/families.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace kernels {

/// Calls f with a value of the element type: byType(type, [&](auto zero) { using T = decltype(zero); ... }).
template <typename F> void byType(DType type, F &&f) {
  if (type == DType::BF16)
    f(bf16{});
  else
    f(0.0f);
}

/// Units of parallelFor that make about 16 thousand elements: less costs more in waking threads than it saves.
inline int64_t grainOf(int64_t elementsPerUnit) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, elementsPerUnit));
}

/// Sum of a[i] * b[i] in f32: sixteen running sums (which vectorise), then added in order.
template <typename A, typename B> float dot(const A *a, const B *b, int64_t n) {
  constexpr int lanes = 16;
  float sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int l = 0; l < lanes; ++l)
      sums[l] += toFloat(a[i + l]) * toFloat(b[i + l]);
  float total = 0;
  for (; i < n; ++i)
    total += toFloat(a[i]) * toFloat(b[i]);
  for (float sum : sums)
    total += sum;
  return total;
}

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

/// y[i] = f(i) for i < count, in parallel.
template <typename T, typename F> void mapElements(HostMath &math, int64_t count, T *y, F f) {
  math.parallelFor(count, grainOf(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      y[i] = fromFloat<T>(f(i));
  });
}

/// y[i] = table[index[i]] for n rows of `width` elements; a negative index gives zeros.
template <typename T>
void gatherRows(HostMath &math, const int32_t *index, const T *table, T *y, int64_t n, int64_t width) {
  math.parallelFor(n, grainOf(width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (index[i] < 0)
        std::fill_n(y + i * width, width, fromFloat<T>(0));
      else
        std::copy_n(table + index[i] * width, width, y + i * width);
    }
  });
}

} // namespace kernels
