#include "kernels_templates/common/cpu.h"

namespace kernels::backout {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.at<T>(0), *mid = args.at<T>(1);
    const float lambda = *args.at<float>(2);
    mapElements(args.math, args.scalars[0].i, args.at<T>(3),
                [=](int64_t i) { return toFloat(x[i]) - lambda * toFloat(mid[i]); });
  });
}

} // namespace kernels::backout
