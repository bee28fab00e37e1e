#include "kernels_templates/common/cpu.h"

#include <vector>

namespace kernels::attention {

namespace {

/// The arguments with their types and extents.
template <typename T> struct Attention {
  explicit Attention(const CpuArgs &args)
      : heads(args.params["heads"]), kvHeads(args.params["kv_heads"]), D(args.params["D"]), ring(args.params["ring"]),
        q(args.at<T>(0)), k(args.at<T>(1)), v(args.at<T>(2)), kv(args.at<T>(3)), rows(args.at<int32_t>(4)),
        positions(args.at<int32_t>(5)), starts(args.at<int32_t>(6)), y(args.at<T>(7)), window(args.scalars[0].i),
        scale(args.scalars[1].f) {}

  const int64_t heads, kvHeads, D, ring;
  const T *q, *k, *v, *kv;
  const int32_t *rows, *positions, *starts;
  T *y;
  const int64_t window;
  const float scale;

  /// Head g of the key (part 0) or value (part 1) of position j, as token t sees it.
  const T *at(int64_t part, int64_t t, int64_t g, int64_t j) const {
    if (j >= starts[rows[t]])
      return (part == 0 ? k : v) + ((t - (positions[t] - j)) * kvHeads + g) * D;
    return kv + (((rows[t] * 2 + part) * kvHeads + g) * ring + j % ring) * D;
  }

  /// One query head of one token; `scores` and `wide` are scratch.
  void head(int64_t t, int64_t h, std::vector<float> &scores, std::vector<float> &wide) const {
    T *out = y + (t * heads + h) * D;
    if (rows[t] < 0) {
      std::fill_n(out, D, fromFloat<T>(0));
      return;
    }
    const int64_t g = h / (heads / kvHeads), last = positions[t], first = std::max<int64_t>(0, last - window);
    wide.resize(2 * D);
    float *query = wide.data(), *mean = query + D;
    for (int64_t d = 0; d < D; ++d)
      query[d] = toFloat(q[(t * heads + h) * D + d]);

    scores.resize(last - first + 1);
    for (int64_t j = first; j <= last; ++j)
      scores[j - first] = scale * dot(query, at(0, t, g, j), D);
    const float top = *std::max_element(scores.begin(), scores.end());
    float sum = 0;
    std::fill_n(mean, D, 0.0f);
    for (int64_t j = first; j <= last; ++j) {
      const float weight = std::exp(scores[j - first] - top);
      const T *value = at(1, t, g, j);
      sum += weight;
      for (int64_t d = 0; d < D; ++d)
        mean[d] += weight * toFloat(value[d]);
    }
    for (int64_t d = 0; d < D; ++d)
      out[d] = fromFloat<T>(mean[d] / sum);
  }
};

} // namespace

void cpu(const CpuArgs &args) {
  byType(args.params.type("T"), [&](auto zero) {
    const Attention<decltype(zero)> attention(args);
    // A token costs up to a window of keys, so single heads are shared out.
    args.math.parallelFor(args.scalars[2].i * attention.heads, 4, [&](int64_t begin, int64_t end) {
      std::vector<float> scores, wide;
      for (int64_t i = begin; i < end; ++i)
        attention.head(i / attention.heads, i % attention.heads, scores, wide);
    });
  });
}

} // namespace kernels::attention
