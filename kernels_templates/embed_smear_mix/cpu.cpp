#include "kernels_templates/common/embed_cpu.h"

namespace kernels::embed_smear_mix {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    embedSmear<T>(args, embedMixed<T>(args, 5));
  });
}

} // namespace kernels::embed_smear_mix
