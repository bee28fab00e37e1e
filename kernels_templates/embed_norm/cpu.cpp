#include "kernels_templates/common/cpu.h"

namespace kernels::embed_norm {

void cpu(const CpuArgs &args) {
  const int64_t C = args.params["C"];
  const int32_t *tokens = args.at<int32_t>(0);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    args.math.parallelFor(args.scalars[0].i, grainOf(C), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        T *y = args.at<T>(2) + t * C;
        if (tokens[t] < 0) {
          std::fill_n(y, C, fromFloat<T>(0));
          continue;
        }
        const T *row = args.at<T>(1) + tokens[t] * C;
        const float factor = 1 / std::sqrt(dot(row, row, C) / static_cast<float>(C) + 0x1p-23f);
        for (int64_t i = 0; i < C; ++i)
          y[i] = fromFloat<T>(toFloat(row[i]) * factor);
      }
    });
  });
}

} // namespace kernels::embed_norm
