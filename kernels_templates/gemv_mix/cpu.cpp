#include "kernels_templates/common/product.h"

namespace kernels::gemv_mix {

void cpu(const CpuArgs &args) { productMixCpu(args, args.params["M"]); }

} // namespace kernels::gemv_mix
