#include "kernels_templates/common/product.h"

namespace kernels::gemv_add {

void cpu(const CpuArgs &args) { productAddCpu(args, args.params["M"]); }

} // namespace kernels::gemv_add
