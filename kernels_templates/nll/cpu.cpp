#include "kernels_templates/common/cpu.h"

namespace kernels::nll {

void cpu(const CpuArgs &args) {
  const int64_t V = args.params["V"];
  const int32_t *targets = args.at<int32_t>(1);
  float *y = args.at<float>(2);
  args.math.parallelFor(args.scalars[0].i, grainOf(V), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      y[row] = 0;
      if (targets[row] < 0)
        continue;
      const float *logits = args.at<float>(0) + row * V;
      float top = *std::max_element(logits, logits + V);
      double sum = 0; // tens of thousands of f32 additions in a row would cost three digits
      for (int64_t i = 0; i < V; ++i)
        sum += std::exp(logits[i] - top);
      y[row] = static_cast<float>(std::log(sum)) + (top - logits[targets[row]]);
    }
  });
}

} // namespace kernels::nll
