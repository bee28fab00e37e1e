#include "kernels_templates/common/product.h"

namespace kernels::wgemm_mix_sum {

void cpu(const CpuArgs &args) { productMixSumCpu(args, args.scalars[1].i); }

} // namespace kernels::wgemm_mix_sum
