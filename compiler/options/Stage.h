// The stages of a compilation: a module knows its own.
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace nanocc {

/// As the module's attribute `nano.stage` says; a model straight from the importer has none.
enum class Stage { Model, Nano, Kern, Plan };

std::optional<Stage> parseStage(llvm::StringRef name); // "nano", "kern", "plan"
llvm::StringRef nameOf(Stage stage);                   // "" of a model

/// Emits an error on the module for an unknown stage.
mlir::FailureOr<Stage> stageOf(mlir::ModuleOp module);

} // namespace nanocc
