#include "kernels_templates/common/cpu.h"

namespace kernels::embed_smear {

void cpu(const CpuArgs &args) {
  const int64_t C = args.params["C"], channels = args.params["channels"];
  const float lambda = *args.at<float>(4);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    const T *table = args.at<T>(2);
    // Factor of a row's norm; the row itself is left as it is.
    auto norm = [&](const T *row) { return 1 / std::sqrt(dot(row, row, C) / static_cast<float>(C) + 0x1p-23f); };
    args.math.parallelFor(args.scalars[0].i, grainOf(C), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int32_t token = args.at<int32_t>(0)[t], prev = args.at<int32_t>(1)[t];
        const T *row = token < 0 ? nullptr : table + token * C, *other = prev < 0 ? nullptr : table + prev * C;
        T *y = args.at<T>(5) + t * C;
        const float factor = row ? norm(row) : 0;
        const float gate = sigmoid(row ? factor * dot(row, args.at<T>(3), channels) : 0);
        const float otherFactor = other ? lambda * gate * norm(other) : 0;
        for (int64_t i = 0; i < C; ++i)
          y[i] = fromFloat<T>((row ? toFloat(row[i]) * factor : 0) + (other ? toFloat(other[i]) * otherFactor : 0));
      }
    });
  });
}

} // namespace kernels::embed_smear
