// From a `kern` launch to its kernel.
#pragma once

#include "codegen/Choices.h"
#include "dialects/ElementTypes.h"
#include "dialects/kern/Kern.h"
#include "dialects/plan/Plan.h"

#include "mlir/IR/BuiltinTypes.h"

#include <optional>

namespace nanocc {

/// A launch with its numbers as its kernel wants them; buffers and scalars in the order of the kernel's arguments.
struct KernelLaunch {
  const kernels::Kernel *kernel;
  kernels::Values params;
  llvm::SmallVector<mlir::Value> buffers;
  std::vector<kernels::Scalar> scalars;

  std::string name() const { return kernel->instanceName(params); } // entry point
  kernels::Values numbers() const { return kernel->launch(params, scalars); }
};

/// By the meaning alone, whoever computes it. Errors are emitted on `op`: unknown meaning, parameters or arguments that
/// it does not have or lacks, a violated constraint.
mlir::FailureOr<KernelLaunch> resolveMeaning(kern::KernelOp op);
/// By the engine that was chosen, or the only one; a program for the CPU and a library's product by the meaning alone.
/// Errors also of the engine, and of a choice that is still to be made.
mlir::FailureOr<KernelLaunch> resolve(kern::KernelOp op);

/// What a choice decides about; nullopt where there is none: the meaning has one engine.
std::optional<codegen::Problem> problemOf(kern::KernelOp op);

/// The plan.kernel of a launch in `program`, made before its entries on first use.
mlir::FlatSymbolRefAttr declareKernel(plan::ProgramOp program, const KernelLaunch &launch, mlir::Location loc);

/// The kernel of a declaration, and its parameters; null if this build has no such kernel or it has others.
const kernels::Kernel *kernelOf(plan::KernelOp kernel, kernels::Values &params);

} // namespace nanocc
