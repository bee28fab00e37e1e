#include "kernels_templates/common/cpu.h"
#include "kernels_templates/common/gemv.h"

namespace kernels {

std::unique_ptr<float[]> gemvSums(const CpuArgs &args, bool norm) {
  const int64_t k = args.params["K"], columns = args.params["N"], rows = args.params["M"];
  const DType type = args.params.type("T");
  auto wide = std::make_unique_for_overwrite<float[]>(rows * k);
  auto sums = std::make_unique_for_overwrite<float[]>(rows * columns);
  byType(type, [&](auto zero) {
    using T = decltype(zero);
    mapElements(args.math, rows * k, wide.get(), [x = args.at<T>(0)](int64_t i) { return toFloat(x[i]); });
  });
  args.math.gemm(rows, columns, k, wide.get(), args.at<void>(1), type, sums.get());
  if (norm)
    for (int64_t row = 0; row < rows; ++row) {
      const float *x = wide.get() + row * k;
      const float scale = 1.0f / std::sqrt(dot(x, x, k) / static_cast<float>(k) + 0x1p-23f);
      float *y = sums.get() + row * columns;
      mapElements(args.math, columns, y, [=](int64_t i) { return scale * y[i]; });
    }
  return sums;
}

} // namespace kernels
