#include "kernels_templates/common/cpu.h"

namespace kernels::kv_write {

void cpu(const CpuArgs &args) {
  const int64_t heads = args.params["kv_heads"], D = args.params["D"], ring = args.params["ring"];
  const int32_t *rows = args.at<int32_t>(2), *positions = args.at<int32_t>(3), *ends = args.at<int32_t>(4);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    args.math.parallelFor(args.scalars[0].i, grainOf(heads * D), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        if (rows[t] < 0 || positions[t] < ends[rows[t]] - ring)
          continue;
        for (int64_t g = 0; g < heads; ++g) {
          T *keys = args.at<T>(5) + ((rows[t] * 2 * heads + g) * ring + positions[t] % ring) * D;
          std::copy_n(args.at<T>(0) + (t * heads + g) * D, D, keys);
          std::copy_n(args.at<T>(1) + (t * heads + g) * D, D, keys + heads * ring * D);
        }
      }
    });
  });
}

} // namespace kernels::kv_write
