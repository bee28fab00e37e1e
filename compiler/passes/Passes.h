// Constructors and registration of the passes in Passes.td.
#pragma once

#include "dialects/kern/Kern.h"
#include "dialects/nano/Nano.h"
#include "dialects/plan/Plan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace nanocc {
#define GEN_PASS_DECL
#include "compiler/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/Passes.h.inc"

/// The contract of a model, on which later passes rely; errors are emitted on the operation that breaks it.
mlir::LogicalResult verifyModel(mlir::ModuleOp module);
} // namespace nanocc
