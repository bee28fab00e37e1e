// plan.fb from `plan` IR and back. The two sides mirror runtime/schema/plan.fbs table for table.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nanocc {

/// What a plan says has made it: tool, version and git revision.
std::string producer();

/// The file's bytes; the same module gives the same bytes. Errors are emitted on the operation: not a placed plan, or a
/// file of 2 GiB and more. Throws nanort::Error for a plan that the runtime would refuse.
mlir::FailureOr<std::vector<uint8_t>> writePlan(mlir::ModuleOp module);

/// The `plan` module that writePlan would turn into the same bytes. Throws nanort::Error for a file that the runtime
/// would refuse.
mlir::OwningOpRef<mlir::ModuleOp> readPlan(mlir::MLIRContext &context, const std::filesystem::path &path);

} // namespace nanocc
