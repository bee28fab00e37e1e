#include "kernels_templates/attention_decode/reference.h"

namespace kernels::attention_decode_ve {

void cpu(const CpuArgs &args) {
  const int64_t kvHeads = args.params["kv_heads"], D = args.params["D"], C = args.params["C"];
  const int64_t channels = args.params["channels"], n = args.scalars[3].i;
  const float range = args.scalars[4].f;
  const int32_t *tokens = args.at<int32_t>(7);
  byType(args.params.type("T"), [&](auto t) {
    using T = decltype(t);
    std::vector<float> factors(n * kvHeads);
    for (int64_t i = 0; i < n; ++i) {
      const T *x = args.at<T>(6) + i * C;
      const float norm = 1 / std::sqrt(dot(x, x, C) / static_cast<float>(C) + 0x1p-23f);
      for (int64_t g = 0; g < kvHeads; ++g)
        factors[i * kvHeads + g] = range * sigmoid(norm * dot(x, args.at<T>(9) + g * channels, channels));
    }
    byType(args.params.type("P"), [&](auto p) {
      attention_decode::run<T, decltype(p)>(args, 11, [&](int64_t i, int64_t g, int64_t d) {
        return tokens[i] < 0
                   ? 0.0f
                   : factors[i * kvHeads + g] * toFloat(args.at<T>(8)[(int64_t{tokens[i]} * kvHeads + g) * D + d]);
      });
    });
  });
}

} // namespace kernels::attention_decode_ve
