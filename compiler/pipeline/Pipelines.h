// The one pipeline, from a model to a plan; nanocc runs it, nanocc-opt has its parts by name.
#pragma once

#include "compiler/options/Stage.h"

#include "mlir/Pass/PassManager.h"

#include <optional>

namespace nanocc {

/// All passes from `from` to `to`: what is handed in is checked first, and every stage that is reached is checked and
/// noted in the module. What a user may decide is in the module (`nano.options`), so the passes are always the same.
void buildPipeline(mlir::OpPassManager &manager, Stage from, Stage to);

/// What it says about the module that a pass refuses it.
enum class Refusal {
  Contract,    // it is not what its stage must be: somebody has edited it
  Choice,      // a template was asked for that cannot serve
  Unsupported, // no template serves such a model
  Internal,    // a stage that was reached was none, or the compiler is wrong
};

/// Builds and runs the pipeline in an empty `manager`; nullopt if the module is now at `to`. Why not is in the
/// diagnostics.
std::optional<Refusal> runPipeline(mlir::PassManager &manager, mlir::ModuleOp module, Stage from, Stage to);

/// model-to-nano, nano-to-kern, kern-to-plan and model-to-plan; the first and the last take nanocc's flags as options.
void registerPipelines();

} // namespace nanocc
