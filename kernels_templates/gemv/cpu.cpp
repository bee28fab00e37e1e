#include "kernels_templates/common/cpu.h"
#include "kernels_templates/common/gemv.h"

namespace kernels::gemv {

void cpu(const CpuArgs &args) {
  const auto sums = gemvSums(args, args.params["norm"] != 0);
  const bool relu2 = args.params["relu2"] != 0;
  byType(args.params.type("O"), [&](auto zero) {
    using O = decltype(zero);
    mapElements(args.math, args.params["M"] * args.params["N"], args.at<O>(2), [&](int64_t i) {
      const float a = sums[i];
      return !relu2 ? a : a < 0 ? 0 : a * a; // NaN stays NaN
    });
  });
}

} // namespace kernels::gemv
