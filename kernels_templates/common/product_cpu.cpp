#include "kernels_templates/common/cpu.h"
#include "kernels_templates/common/product.h"

#include <memory>

namespace kernels {

/// x w^T in f32, each row scaled by rsqrt(mean(x[row]^2) + 2^-23) if `norm`. Buffers 0 and 1 are x and w.
static std::unique_ptr<float[]> sumsOf(const CpuArgs &args, int64_t rows, bool norm) {
  const int64_t k = args.params["K"], columns = args.params["N"];
  const DType type = args.params.type("T");
  auto wide = std::make_unique_for_overwrite<float[]>(rows * k);
  auto sums = std::make_unique_for_overwrite<float[]>(rows * columns);
  byType(type, [&](auto zero) {
    using T = decltype(zero);
    mapElements(args.math, rows * k, wide.get(), [x = args.at<T>(0)](int64_t i) { return toFloat(x[i]); });
  });
  args.math.gemm(rows, columns, k, wide.get(), args.at<void>(1), type, sums.get());
  if (norm)
    args.math.parallelFor(rows, grainOf(k + columns), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float *x = wide.get() + row * k;
        const float scale = 1.0f / std::sqrt(dot(x, x, k) / static_cast<float>(k) + 0x1p-23f);
        for (float *y = sums.get() + row * columns, *last = y + columns; y != last; ++y)
          *y *= scale;
      }
    });
  return sums;
}

void productCpu(const CpuArgs &args, int64_t rows) {
  const auto sums = sumsOf(args, rows, args.params["norm"] != 0);
  const bool relu2 = args.params["relu2"] != 0;
  byType(args.params.type("O"), [&](auto zero) {
    using O = decltype(zero);
    mapElements(args.math, rows * args.params["N"], args.at<O>(2), [&](int64_t i) {
      const float a = sums[i];
      return !relu2 ? a : a < 0 ? 0 : a * a; // NaN stays NaN
    });
  });
}

void productAddCpu(const CpuArgs &args, int64_t rows) {
  const auto sums = sumsOf(args, rows, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2);
    mapElements(args.math, rows * args.params["N"], args.at<T>(3), [&](int64_t i) { return toFloat(r[i]) + sums[i]; });
  });
}

void productMixCpu(const CpuArgs &args, int64_t rows) {
  const auto sums = sumsOf(args, rows, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2), *x0 = args.at<T>(3);
    const float resid = args.at<float>(4)[args.scalars[0].i], skip = args.at<float>(5)[args.scalars[0].i];
    mapElements(args.math, rows * args.params["N"], args.at<T>(6),
                [&](int64_t i) { return resid * (toFloat(r[i]) + sums[i]) + skip * toFloat(x0[i]); });
  });
}

void productMixSumCpu(const CpuArgs &args, int64_t rows) {
  const auto sums = sumsOf(args, rows, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2), *x0 = args.at<T>(3);
    T *sum = args.at<T>(6);
    const float resid = args.at<float>(4)[args.scalars[0].i], skip = args.at<float>(5)[args.scalars[0].i];
    mapElements(args.math, rows * args.params["N"], args.at<T>(7), [&](int64_t i) {
      const float value = toFloat(r[i]) + sums[i];
      sum[i] = fromFloat<T>(value);
      return resid * value + skip * toFloat(x0[i]);
    });
  });
}

void productBackoutCpu(const CpuArgs &args, int64_t rows) {
  const auto sums = sumsOf(args, rows, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2), *mid = args.at<T>(3);
    const float lambda = *args.at<float>(4);
    mapElements(args.math, rows * args.params["N"], args.at<T>(5),
                [&](int64_t i) { return toFloat(r[i]) + sums[i] - lambda * toFloat(mid[i]); });
  });
}

} // namespace kernels
