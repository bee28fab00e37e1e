#include "codegen/Description.h"

#include <string>

namespace codegen {

nanort::Sha256 descriptionHash(const kernels::Kernel &kernel) {
  // One line a fact; no name has a line break, so that no two descriptions give the same text.
  std::string text = kernel.text() + " " + std::to_string(kernel.meaning.version) + "\n";
  for (const kernels::Param &param : kernel.params)
    text += std::string(param.isType ? "type " : "integer ") + std::string(param.name) + "\n";
  for (const kernels::Arg &arg : kernel.args)
    text += "argument " + std::string(arg.name) + "," + std::to_string(static_cast<int>(arg.access)) + "," +
            std::to_string(static_cast<int>(arg.role)) + "," + std::string(arg.type) + "," + std::string(arg.shape) +
            "," + std::string(arg.of) + "\n";
  return nanort::sha256(std::as_bytes(std::span(text)));
}

} // namespace codegen
