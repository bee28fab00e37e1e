// The stages of a compilation and the passes that lead to each.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <optional>
#include <string>

namespace nanocc {

/// A module knows its stage by `nano.stage`; a model straight from the importer has none.
enum class Stage { Model, Nano, Kern, Plan };

std::optional<Stage> parseStage(llvm::StringRef name); // "nano", "kern", "plan"
/// Emits an error on the module for an unknown stage.
mlir::FailureOr<Stage> stageOf(mlir::ModuleOp module);
void setStage(mlir::ModuleOp module, Stage stage);

/// The checks on what a user hands in at a stage.
void populateVerification(mlir::OpPassManager &manager, Stage stage);
/// Passes from the stage before to `stage`, with the fusions of Options::fuse. Those to Kern leave the choice of
/// templates to kern-choose-templates, and the verifier after it, which the caller runs: they refuse what a user has
/// forced.
void populateStage(mlir::OpPassManager &manager, Stage stage, llvm::StringRef fuse);

} // namespace nanocc
