#include "kernels_templates/common/families.h"

namespace kernels::attention_prefill {

// The same computation, and parameters and arguments of the same names in the same places.
void cpu(const CpuArgs &args) { attention::cpu(args); }

} // namespace kernels::attention_prefill
