#include "kernels_templates/common/product.h"

namespace kernels::gemv_mix_sum {

void cpu(const CpuArgs &args) { productMixSumCpu(args, args.params["M"]); }

} // namespace kernels::gemv_mix_sum
