// Where in the model something comes from.
#pragma once

#include "mlir/IR/Location.h"

#include <string>

namespace nanocc {

/// "model.mlir:12", without the folder, so that bytes do not depend on where the file lies; empty if unknown.
std::string locationText(mlir::Location location);

} // namespace nanocc
