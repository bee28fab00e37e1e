// CPU references: what they get, and pieces that they share.
#pragma once

#include "kernels_templates/base/catalogue.h"
#include "kernels_templates/base/host_math.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace kernels {

/// One call: buffers, in logical layout, and scalars in the order in which the kernel's arguments have them.
struct ReferenceCall {
  const Kernel &kernel;
  const Values &params;
  std::span<void *const> buffers;
  std::span<const Scalar> scalars;
  HostMath &math;

  template <typename T> T *at(std::string_view buffer) const {
    return static_cast<T *>(buffers[kernel.indexOf(buffer)]);
  }
  int32_t integer(std::string_view scalar) const { return scalars[kernel.indexOf(scalar) - buffers.size()].i; }
  float real(std::string_view scalar) const { return scalars[kernel.indexOf(scalar) - buffers.size()].f; }
  int64_t operator[](std::string_view param) const { return params[param]; }
};
using Reference = void (*)(const ReferenceCall &);

/// Of a meaning; null if there is none of that name. References are a library of their own (target nano_kernels_cpu),
/// so that the compiler does not link them.
Reference findReference(std::string_view meaning);

/// What the norms add to a mean square: upstream's F.rms_norm takes the epsilon of f32.
constexpr float normEpsilon = 0x1p-23f;

/// Calls f with a value of an activation's type: byType(type, [&](auto zero) { using T = decltype(zero); ... }). Others
/// end the process: constraints keep them out.
template <typename F> void byType(DType type, F &&f) {
  switch (type) {
  case DType::F32:
    return f(0.0f);
  case DType::BF16:
    return f(bf16{});
  case DType::F8E4M3: // of weights alone
  case DType::I32:
  case DType::U32:
    break;
  }
  noElementType("an activation", type);
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

/// rsqrt(mean(x^2) + 2^-23)
template <typename T> float normFactor(const T *x, int64_t n) {
  return 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + normEpsilon);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

/// y[i] = f(i) for i < count, in parallel.
template <typename T, typename F> void mapElements(HostMath &math, int64_t count, T *y, F f) {
  math.parallelFor(count, grainOf(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      y[i] = fromFloat<T>(f(i));
  });
}

} // namespace kernels
