#include "kernels_templates/common/cpu.h"

#include <memory>

namespace kernels::linear {

void cpu(const CpuArgs &args) {
  const int64_t n = args.scalars[0].i, k = args.params["K"], columns = args.params["N"];
  const DType in = args.params.type("T"), out = args.params.type("O");

  const float *x = args.at<float>(0);
  std::unique_ptr<float[]> wide, sums;
  if (in == DType::BF16) {
    wide = std::make_unique_for_overwrite<float[]>(n * k);
    mapElements(args.math, n * k, wide.get(), [from = args.at<bf16>(0)](int64_t i) { return toFloat(from[i]); });
    x = wide.get();
  }
  float *y = args.at<float>(2);
  if (out == DType::BF16) {
    sums = std::make_unique_for_overwrite<float[]>(n * columns);
    y = sums.get();
  }
  args.math.gemm(n, columns, k, x, args.at<void>(1), in, y);
  if (out == DType::BF16)
    mapElements(args.math, n * columns, args.at<bf16>(2), [y](int64_t i) { return y[i]; });
}

} // namespace kernels::linear
