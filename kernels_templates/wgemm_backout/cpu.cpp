#include "kernels_templates/common/product.h"

namespace kernels::wgemm_backout {

void cpu(const CpuArgs &args) { productBackoutCpu(args, args.scalars[0].i); }

} // namespace kernels::wgemm_backout
