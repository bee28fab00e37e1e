// What a plan costs: launches, bytes, FLOPs, predicted time, memory.
#pragma once

#include "dialects/plan/Plan.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace nanocc {

/// One JSON object a line and program, as the command-line contract has it:
/// {"target","entries":[{"name","kind","batch","tokens","eager":{..},"plan":{..}}],"memory":{..}}.
std::string reportJson(mlir::ModuleOp module);

/// The same as a table for people.
std::string reportText(mlir::ModuleOp module);

} // namespace nanocc
