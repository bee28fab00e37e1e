#include "kernels_templates/common/gates.h"
#include "kernels_templates/qkv_prepare/reference.h"

namespace kernels::qkv_prepare_ve {

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto t) {
    using T = decltype(t);
    const ValueGates<T> gates(args, 3, args.scalars[1].i, args.scalars[2].f);
    byType(args.params.type("P"), [&](auto p) { qkv_prepare::run<T, decltype(p)>(args, 7, gates); });
  });
}

} // namespace kernels::qkv_prepare_ve
