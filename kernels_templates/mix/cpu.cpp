#include "kernels_templates/common/cpu.h"

namespace kernels::mix {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.at<T>(0), *x0 = args.at<T>(1);
    const float resid = args.at<float>(2)[args.scalars[0].i], skip = args.at<float>(3)[args.scalars[0].i];
    mapElements(args.math, args.scalars[1].i, args.at<T>(4),
                [=](int64_t i) { return resid * toFloat(x[i]) + skip * toFloat(x0[i]); });
  });
}

} // namespace kernels::mix
