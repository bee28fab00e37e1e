#include "kernels_templates/common/product.h"

namespace kernels::gemv_backout {

void cpu(const CpuArgs &args) { productBackoutCpu(args, args.params["M"]); }

} // namespace kernels::gemv_backout
