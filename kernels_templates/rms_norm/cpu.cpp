#include "kernels_templates/common/cpu.h"

namespace kernels::rms_norm {

void cpu(const CpuArgs &args) {
  const int64_t width = args.params["width"];
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    args.math.parallelFor(args.scalars[0].i, grainOf(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T *x = args.at<T>(0) + row * width;
        T *y = args.at<T>(1) + row * width;
        float factor = 1.0f / std::sqrt(dot(x, x, width) / static_cast<float>(width) + 0x1p-23f);
        for (int64_t i = 0; i < width; ++i)
          y[i] = fromFloat<T>(toFloat(x[i]) * factor);
      }
    });
  });
}

} // namespace kernels::rms_norm
