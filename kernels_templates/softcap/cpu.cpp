#include "kernels_templates/common/cpu.h"

namespace kernels::softcap {

void cpu(const CpuArgs &args) {
  const int64_t V = args.params["V"], Vp = args.params["Vp"];
  const float cap = args.scalars[0].f;
  args.math.parallelFor(args.scalars[1].i, grainOf(V), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float *z = args.at<float>(0) + row * Vp;
      float *y = args.at<float>(1) + row * V;
      for (int64_t i = 0; i < V; ++i)
        y[i] = cap == 0 ? z[i] : cap * std::tanh(z[i] / cap);
    }
  });
}

} // namespace kernels::softcap
