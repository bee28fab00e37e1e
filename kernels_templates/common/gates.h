// What the value gate adds, for the CPU references of attention_decode_ve and qkv_prepare_ve.
#pragma once

#include "kernels_templates/common/cpu.h"

#include <vector>

namespace kernels {

template <typename T> class ValueGates {
public:
  /// Buffers from `x` on are x, tokens, embeds and gate.
  ValueGates(const CpuArgs &args, size_t x, int64_t n, float range)
      : kvHeads(args.params["kv_heads"]), D(args.params["D"]), tokens(args.at<int32_t>(x + 1)),
        embeds(args.at<T>(x + 2)), factors(n * kvHeads) {
    const int64_t C = args.params["C"], channels = args.params["channels"];
    const T *gate = args.at<T>(x + 3);
    for (int64_t t = 0; t < n; ++t) {
      const T *in = args.at<T>(x) + t * C;
      const float norm = 1 / std::sqrt(dot(in, in, C) / static_cast<float>(C) + 0x1p-23f);
      for (int64_t g = 0; g < kvHeads; ++g)
        factors[t * kvHeads + g] = range * sigmoid(norm * dot(in, gate + g * channels, channels));
    }
  }

  /// To element d of head g of token slot t.
  float operator()(int64_t t, int64_t g, int64_t d) const {
    return tokens[t] < 0 ? 0.0f
                         : factors[t * kvHeads + g] * toFloat(embeds[(int64_t{tokens[t]} * kvHeads + g) * D + d]);
  }

private:
  int64_t kvHeads, D;
  const int32_t *tokens;
  const T *embeds;
  std::vector<float> factors;
};

} // namespace kernels
