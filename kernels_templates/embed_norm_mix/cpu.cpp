#include "kernels_templates/common/embed_cpu.h"

namespace kernels::embed_norm_mix {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    embedNorm<T>(args, embedMixed<T>(args, 2));
  });
}

} // namespace kernels::embed_norm_mix
