#include "kernels_templates/base/catalogue.h"

namespace kernels {

#define SUBJECT(name) void add_##name(Catalogue &catalogue);
#include "kernels_templates/subjects.def"
#undef SUBJECT

void Catalogue::add(Meaning meaning, std::initializer_list<const Engine *> engines) {
  const Meaning &kept = meanings.emplace_back(std::move(meaning));
  entries.emplace_back(kept, nullptr);
  for (const Engine *engine : engines)
    entries.emplace_back(kept, engine);
}

const Meaning *Catalogue::meaning(std::string_view name) const {
  for (const Meaning &meaning : meanings)
    if (meaning.name == name)
      return &meaning;
  return nullptr;
}

const Kernel *Catalogue::kernel(std::string_view meaning, std::string_view engine) const {
  for (const Kernel &kernel : entries)
    if (kernel.meaning.name == meaning && (kernel.engine ? kernel.engine->name : std::string_view()) == engine)
      return &kernel;
  return nullptr;
}

std::vector<const Kernel *> Catalogue::kernels(std::string_view meaning) const {
  std::vector<const Kernel *> found;
  for (const Kernel &kernel : entries)
    if (kernel.engine && kernel.meaning.name == meaning)
      found.push_back(&kernel);
  return found;
}

const Catalogue &catalogue() {
  static const Catalogue all = [] {
    Catalogue catalogue;
#define SUBJECT(name) add_##name(catalogue);
#include "kernels_templates/subjects.def"
#undef SUBJECT
    return catalogue;
  }();
  return all;
}

} // namespace kernels
