#include "kernels_templates/common/cpu.h"

namespace kernels::add {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *a = args.at<T>(0), *b = args.at<T>(1);
    mapElements(args.math, args.scalars[0].i, args.at<T>(2), [=](int64_t i) { return toFloat(a[i]) + toFloat(b[i]); });
  });
}

} // namespace kernels::add
