#include "kernels_templates/common/product.h"

namespace kernels::wgemm {

void cpu(const CpuArgs &args) { productCpu(args, args.scalars[0].i); }

} // namespace kernels::wgemm
