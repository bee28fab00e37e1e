#include "kernels_templates/common/families.h"

namespace kernels::attention_mma {

// The same computation: parameters and arguments of the same names in the same order.
void cpu(const CpuArgs &args) { attention::cpu(args); }

} // namespace kernels::attention_mma
