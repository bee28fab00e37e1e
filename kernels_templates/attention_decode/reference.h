// The CPU reference that attention_decode and attention_decode_ve share.
#pragma once

#include "kernels_templates/common/cpu.h"

#include <vector>

namespace kernels::attention_decode {

/// `added(t, g, d)` is what the value gate adds to v; `y` is the index of the output.
template <typename T, typename P, typename Added> void run(const CpuArgs &args, size_t y, Added added) {
  const int64_t heads = args.params["heads"], kvHeads = args.params["kv_heads"], D = args.params["D"];
  const int64_t ring = args.params["ring"], group = heads / kvHeads, half = D / 2;
  const float mult = args.scalars[0].f, scale = args.scalars[2].f;
  const int64_t window = std::min<int64_t>(args.scalars[1].i, ring - 1), n = args.scalars[3].i;
  const int32_t *rows = args.at<int32_t>(2), *positions = args.at<int32_t>(3);
  args.math.parallelFor(n * kvHeads, 1, [&](int64_t from, int64_t to) {
    std::vector<float> query(D), mean(D), scores;
    for (int64_t i = from; i < to; ++i) {
      const int64_t t = i / kvHeads, g = i % kvHeads, p = positions[t];
      T *out = args.at<T>(y) + (t * heads + g * group) * D;
      if (rows[t] < 0) {
        std::fill_n(out, group * D, fromFloat<T>(0));
        continue;
      }
      const T *x = args.at<T>(0) + t * (heads + 2 * kvHeads) * D;
      const P *angles = args.at<P>(1) + p * D;
      T *keys = args.at<T>(4) + (rows[t] * 2 * kvHeads + g) * ring * D, *values = keys + kvHeads * ring * D;
      // Head `head` of qkv rotated, normed and multiplied.
      auto position = [&](int64_t head, std::vector<float> &to) {
        const T *in = x + head * D;
        for (int64_t d = 0; d < half; ++d) {
          const float a = toFloat(in[d]), b = toFloat(in[half + d]);
          const float c = toFloat(angles[d]), s = toFloat(angles[half + d]);
          to[d] = a * c + b * s;
          to[half + d] = b * c - a * s;
        }
        const float factor = mult / std::sqrt(dot(to.data(), to.data(), D) / static_cast<float>(D) + 0x1p-23f);
        for (float &element : to)
          element *= factor;
      };
      position(heads + g, query);
      for (int64_t d = 0; d < D; ++d) {
        keys[p % ring * D + d] = fromFloat<T>(query[d]);
        values[p % ring * D + d] = fromFloat<T>(toFloat(x[(heads + kvHeads + g) * D + d]) + added(t, g, d));
      }
      const int64_t first = std::max<int64_t>(0, p - window);
      scores.resize(p - first + 1);
      for (int64_t h = 0; h < group; ++h) {
        position(g * group + h, query);
        for (int64_t j = first; j <= p; ++j)
          scores[j - first] = scale * dot(query.data(), keys + j % ring * D, D);
        const float top = *std::max_element(scores.begin(), scores.end());
        float sum = 0;
        std::fill(mean.begin(), mean.end(), 0.0f);
        for (int64_t j = first; j <= p; ++j) {
          const float weight = std::exp(scores[j - first] - top);
          sum += weight;
          for (int64_t d = 0; d < D; ++d)
            mean[d] += weight * toFloat(values[j % ring * D + d]);
        }
        for (int64_t d = 0; d < D; ++d)
          out[h * D + d] = fromFloat<T>(mean[d] / sum);
      }
    }
  });
}

} // namespace kernels::attention_decode
