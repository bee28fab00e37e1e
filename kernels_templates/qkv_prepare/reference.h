// The CPU reference that qkv_prepare and qkv_prepare_ve share.
#pragma once

#include "kernels_templates/common/cpu.h"

#include <vector>

namespace kernels::qkv_prepare {

/// `added(t, g, d)` is what the value gate adds to v; `q` is the index of the first output.
template <typename T, typename P, typename Added> void run(const CpuArgs &args, size_t q, Added added) {
  const int64_t heads = args.params["heads"], kvHeads = args.params["kv_heads"], D = args.params["D"], half = D / 2;
  const float mult = args.scalars[0].f;
  const int32_t *positions = args.at<int32_t>(2);
  args.math.parallelFor(args.scalars[1].i, grainOf((heads + 2 * kvHeads) * D), [&](int64_t begin, int64_t end) {
    std::vector<float> rotated(D);
    for (int64_t t = begin; t < end; ++t) {
      const T *x = args.at<T>(0) + t * (heads + 2 * kvHeads) * D;
      const P *angles = args.at<P>(1) + positions[t] * D;
      for (int64_t head = 0; head < heads + kvHeads; ++head) {
        const T *in = x + head * D;
        T *to = head < heads ? args.at<T>(q) + (t * heads + head) * D
                             : args.at<T>(q + 1) + (t * kvHeads + head - heads) * D;
        for (int64_t d = 0; d < half; ++d) {
          const float a = toFloat(in[d]), b = toFloat(in[half + d]);
          const float c = toFloat(angles[d]), s = toFloat(angles[half + d]);
          rotated[d] = a * c + b * s;
          rotated[half + d] = b * c - a * s;
        }
        const float factor =
            mult / std::sqrt(dot(rotated.data(), rotated.data(), D) / static_cast<float>(D) + 0x1p-23f);
        for (int64_t d = 0; d < D; ++d)
          to[d] = fromFloat<T>(rotated[d] * factor);
      }
      const T *values = x + (heads + kvHeads) * D;
      for (int64_t i = 0; i < kvHeads * D; ++i)
        args.at<T>(q + 2)[t * kvHeads * D + i] = fromFloat<T>(toFloat(values[i]) + added(t, i / D, i % D));
    }
  });
}

} // namespace kernels::qkv_prepare
