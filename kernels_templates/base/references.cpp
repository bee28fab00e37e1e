#include "kernels_templates/base/reference.h"

namespace kernels {

#define SUBJECT(name) Reference reference_##name(std::string_view meaning);
#include "kernels_templates/subjects.def"
#undef SUBJECT

Reference findReference(std::string_view meaning) {
#define SUBJECT(name)                                                                                                  \
  if (Reference found = reference_##name(meaning))                                                                     \
    return found;
#include "kernels_templates/subjects.def"
#undef SUBJECT
  return nullptr;
}

} // namespace kernels
