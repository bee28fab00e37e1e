#include "kernels_templates/common/embed_cpu.h"

namespace kernels::embed_norm {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    embedNorm<T>(args, [y = args.at<T>(2)](int64_t i, float value) { y[i] = fromFloat<T>(value); });
  });
}

} // namespace kernels::embed_norm
