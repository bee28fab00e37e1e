#include "kernels_templates/common/cpu.h"

namespace kernels::smear {

void cpu(const CpuArgs &args) {
  const int64_t width = args.params["C"], channels = args.params["channels"];
  const float lambda = *args.at<float>(3);
  byType(args.params.type("T"), [&](auto zero) {
    using T = decltype(zero);
    args.math.parallelFor(args.scalars[0].i, grainOf(width), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const T *u = args.at<T>(0) + token * width, *prev = args.at<T>(1) + token * width;
        T *y = args.at<T>(4) + token * width;
        float factor = lambda * sigmoid(dot(u, args.at<T>(2), channels));
        for (int64_t i = 0; i < width; ++i)
          y[i] = fromFloat<T>(toFloat(u[i]) + factor * toFloat(prev[i]));
      }
    });
  });
}

} // namespace kernels::smear
