// The only services a CPU reference may use besides the standard library.
#pragma once

#include "kernels_templates/base/dtype.h"

#include <cstdint>
#include <functional>

namespace kernels {

class HostMath {
public:
  virtual ~HostMath() = default;

  /// Calls body(begin, end) on disjoint ranges that cover [0, count). The split never changes a result: bodies write
  /// disjoint outputs and reduce only inside one index.
  virtual void parallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &body) = 0;

  /// y[m, n] = sum_k x[m, k] * w[n, k] in f32, x and y dense f32 row-major; w row-major of a float type.
  virtual void gemm(int64_t m, int64_t n, int64_t k, const float *x, const void *w, DType wType, float *y) = 0;
};

} // namespace kernels
