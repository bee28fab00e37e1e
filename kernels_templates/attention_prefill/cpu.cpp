#include "kernels_templates/common/families.h"

#include <vector>

namespace kernels::attention_prefill {

// The same computation: parameters and arguments of the same names in the same order, but for the counter, which stays
// zero.
void cpu(const CpuArgs &args) {
  std::vector<void *> buffers(args.buffers.begin(), args.buffers.end());
  buffers.erase(buffers.end() - 2);
  attention::cpu({args.params, buffers, args.scalars, args.math});
}

} // namespace kernels::attention_prefill
