#include "kernels_templates/attention_decode/reference.h"
#include "kernels_templates/common/gates.h"

namespace kernels::attention_batch_ve {

void cpu(const CpuArgs &args) {
  const ValueGates<bf16> gates(args, 5, args.scalars[3].i, args.scalars[4].f);
  byType(args.params.type("P"), [&](auto p) { attention_decode::run<bf16, decltype(p)>(args, 11, gates); });
}

} // namespace kernels::attention_batch_ve
