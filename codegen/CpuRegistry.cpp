#include "codegen/Registry.h"

#include "kernels_templates/common/families.h"

namespace codegen {

kernels::CpuKernel findCpuKernel(std::string_view family) {
#define FAMILY(name)                                                                                                   \
  if (family == #name)                                                                                                 \
    return kernels::name::cpu;
#include "kernels_templates/families.def"
#undef FAMILY
  return nullptr;
}

} // namespace codegen
