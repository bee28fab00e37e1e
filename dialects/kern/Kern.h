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

#include <string>

namespace nanocc::kern {
/// A launch as its meaning sees it (kernels_templates/base/kernel.h), everything by its name there. Parameters are
/// integers or types, scalars i32 or f32. What only an engine wants (counters, scratch) is among the buffers where the
/// operation has it.
struct KernelCall {
  std::string meaning;
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::Value>> buffers;
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::Attribute>> params;
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::TypedAttr>> scalars;
};

/// What a choice calls the library.
inline constexpr llvm::StringLiteral libraryEngine = "cublaslt";
} // namespace nanocc::kern

#include "dialects/kern/KernDialect.h.inc"
#include "dialects/kern/KernInterfaces.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kern/KernTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/kern/KernOps.h.inc"
