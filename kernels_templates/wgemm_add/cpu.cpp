#include "kernels_templates/common/product.h"

namespace kernels::wgemm_add {

void cpu(const CpuArgs &args) { productAddCpu(args, args.scalars[0].i); }

} // namespace kernels::wgemm_add
