#include "kernels_templates/common/cpu.h"
#include "kernels_templates/common/gemv.h"

namespace kernels::gemv_mix_sum {

void cpu(const CpuArgs &args) {
  const auto sums = gemvSums(args, false);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *r = args.at<T>(2), *x0 = args.at<T>(3);
    T *sum = args.at<T>(6);
    const float resid = args.at<float>(4)[args.scalars[0].i], skip = args.at<float>(5)[args.scalars[0].i];
    mapElements(args.math, args.params["M"] * args.params["N"], args.at<T>(7), [&](int64_t i) {
      const float value = toFloat(r[i]) + sums[i];
      sum[i] = fromFloat<T>(value);
      return resid * value + skip * toFloat(x0[i]);
    });
  });
}

} // namespace kernels::gemv_mix_sum
