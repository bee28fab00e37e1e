#include "kernels_templates/common/cpu.h"

namespace kernels::embed {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    gatherRows(args.math, args.at<int32_t>(0), args.at<T>(1), args.at<T>(2), args.scalars[0].i, args.params["C"]);
  });
}

} // namespace kernels::embed
