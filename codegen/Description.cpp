#include "codegen/Description.h"

#include <string>

namespace codegen {

nanort::Sha256 descriptionHash(const kernels::Family &family) {
  constexpr std::string_view kinds[] = {"in", "out", "inout", "scratch", "i32", "f32", "condition"};
  // One line a fact; no name has a line break or a space, so that no two descriptions give the same text.
  std::string text = std::string(family.name) + " " + std::to_string(family.referenceVersion) + "\n";
  for (const kernels::ParamDecl &param : family.params)
    text += std::string(param.isType ? "type " : "integer ") + std::string(param.name) + "\n";
  for (const kernels::ArgDecl &arg : family.args)
    text += "argument " + std::string(arg.name) + " " + std::string(kinds[static_cast<size_t>(arg.kind)]) + " " +
            std::string(arg.type) + (arg.mapped ? " mapped" : "") + "\n";
  return nanort::sha256(std::as_bytes(std::span(text)));
}

} // namespace codegen
