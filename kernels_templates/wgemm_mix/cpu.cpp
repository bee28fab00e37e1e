#include "kernels_templates/common/product.h"

namespace kernels::wgemm_mix {

void cpu(const CpuArgs &args) { productMixCpu(args, args.scalars[1].i); }

} // namespace kernels::wgemm_mix
