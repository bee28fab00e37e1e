#include "kernels_templates/common/cpu.h"

namespace kernels::relu2 {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.at<T>(0);
    mapElements(args.math, args.scalars[0].i, args.at<T>(1), [=](int64_t i) {
      float a = toFloat(x[i]);
      return a < 0 ? 0 : a * a; // NaN stays NaN
    });
  });
}

} // namespace kernels::relu2
