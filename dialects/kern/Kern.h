// C++ side of the `kern` dialect; its reference is Kern.td.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nanocc::kern {
/// A launch as its kernel family sees it. Parameters are integers or types, in the template's order; scalars are i32 or
/// f32 attributes, in the order of the device function's scalar arguments.
struct KernelCall {
  llvm::StringRef family;
  llvm::SmallVector<mlir::NamedAttribute> params;
  llvm::SmallVector<mlir::TypedAttr> scalars;
};
} // namespace nanocc::kern

#include "dialects/kern/KernDialect.h.inc"
#include "dialects/kern/KernInterfaces.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kern/KernTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/kern/KernOps.h.inc"
