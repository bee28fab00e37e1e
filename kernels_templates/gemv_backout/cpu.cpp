#include "kernels_templates/common/cpu.h"
#include "kernels_templates/common/gemv.h"

namespace kernels::gemv_backout {

void cpu(const CpuArgs &args) {
  const auto sums = gemvSums(args, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2), *mid = args.at<T>(3);
    const float lambda = *args.at<float>(4);
    mapElements(args.math, args.params["M"] * args.params["N"], args.at<T>(5),
                [&](int64_t i) { return toFloat(r[i]) + sums[i] - lambda * toFloat(mid[i]); });
  });
}

} // namespace kernels::gemv_backout
