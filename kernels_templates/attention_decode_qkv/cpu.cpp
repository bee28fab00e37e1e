#include "kernels_templates/attention_decode/reference.h"
#include "kernels_templates/common/product.h"

namespace kernels::attention_decode_qkv {

void cpu(const CpuArgs &args) {
  const Params &p = args.params;
  const auto qkv = productSums(args.math, args.scalars[3].i, (p["heads"] + 2 * p["kv_heads"]) * p["D"], p["C"],
                               p.type("T"), args.at<void>(5), args.at<void>(0), p["norm"] != 0);
  byType(p.type("P"), [&](auto zero) {
    attention_decode::run<bf16, decltype(zero)>(args, qkv.get(), 6, [](int64_t, int64_t, int64_t) { return 0.0f; });
  });
}

} // namespace kernels::attention_decode_qkv
