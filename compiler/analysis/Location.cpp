#include "compiler/analysis/Location.h"

#include <filesystem>

using namespace mlir;

std::string nanocc::locationText(Location location) {
  std::string text;
  location->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    text = std::filesystem::path(file.getFilename().str()).filename().string() + ":" + std::to_string(file.getLine());
    return WalkResult::interrupt();
  });
  return text;
}
