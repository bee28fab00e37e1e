// What a plan costs: launches, bytes, FLOPs, predicted time, memory.
#pragma once

#include "dialects/plan/Plan.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace nanocc {

/// A program's object is {"target","precision","entries":[{"name","kind","batch","tokens","eager":{..},"plan":{..},
/// "nodes":[..]}],"memory":{..}}; a node served by a general template for want of a better one says why in "fallback".
/// A plan of one program is that object; one of several is {"programs":[..]}.
std::string reportJson(mlir::ModuleOp module);

/// The same as a table for people.
std::string reportText(mlir::ModuleOp module);

/// And as one page: tables, the arena over time, the kernels' sources.
std::string reportHtml(mlir::ModuleOp module);

} // namespace nanocc
