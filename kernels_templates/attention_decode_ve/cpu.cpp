#include "kernels_templates/attention_decode/reference.h"
#include "kernels_templates/common/gates.h"

namespace kernels::attention_decode_ve {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto t) {
    using T = decltype(t);
    const ValueGates<T> gates(args, 5, args.scalars[3].i, args.scalars[4].f);
    byType(args.params.type("P"), [&](auto p) { attention_decode::run<T, decltype(p)>(args, 9, gates); });
  });
}

} // namespace kernels::attention_decode_ve
