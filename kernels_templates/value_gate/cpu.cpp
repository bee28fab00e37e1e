#include "kernels_templates/common/cpu.h"

namespace kernels::value_gate {

void cpu(const CpuArgs &args) {
  const int64_t heads = args.params["heads"], D = args.params["D"], C = args.params["C"];
  const int64_t channels = args.params["channels"];
  const float range = args.scalars[0].f;
  const int32_t *tokens = args.at<int32_t>(2);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    args.math.parallelFor(args.scalars[1].i, grainOf(heads * D), [&](int64_t begin, int64_t end) {
      for (int64_t head = begin * heads; head < end * heads; ++head) {
        const int64_t t = head / heads, g = head % heads;
        const T *v = args.at<T>(0) + head * D;
        T *y = args.at<T>(5) + head * D;
        if (tokens[t] < 0) {
          std::copy_n(v, D, y);
          continue;
        }
        const T *e = args.at<T>(3) + (tokens[t] * heads + g) * D;
        float factor = range * sigmoid(dot(args.at<T>(1) + t * C, args.at<T>(4) + g * channels, channels));
        for (int64_t i = 0; i < D; ++i)
          y[i] = fromFloat<T>(toFloat(v[i]) + factor * toFloat(e[i]));
      }
    });
  });
}

} // namespace kernels::value_gate
