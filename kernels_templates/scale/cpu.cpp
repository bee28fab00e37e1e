#include "kernels_templates/common/cpu.h"

namespace kernels::scale {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.at<T>(0);
    const float factor = args.scalars[0].f;
    mapElements(args.math, args.scalars[1].i, args.at<T>(1), [=](int64_t i) { return factor * toFloat(x[i]); });
  });
}

} // namespace kernels::scale
