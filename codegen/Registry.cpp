#include "codegen/Registry.h"

#include "kernels_templates/common/families.h"

namespace codegen {

static const kernels::Family *const families[] = {
#define FAMILY(name) &kernels::name::family,
#include "kernels_templates/families.def"
#undef FAMILY
};

std::span<const kernels::Family *const> allFamilies() { return families; }

const kernels::Family *findFamily(std::string_view name) {
  for (const kernels::Family *family : families)
    if (family->name == name)
      return family;
  return nullptr;
}

} // namespace codegen
