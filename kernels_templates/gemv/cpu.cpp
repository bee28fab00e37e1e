#include "kernels_templates/common/product.h"

namespace kernels::gemv {

void cpu(const CpuArgs &args) { productCpu(args, args.params["M"]); }

} // namespace kernels::gemv
