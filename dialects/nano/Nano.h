// C++ side of the `nano` dialect; its reference is Nano.td.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nanocc::nano {
/// Token t of the result depends on token t of the operands alone.
template <typename ConcreteType> class TokenWise : public mlir::OpTrait::TraitBase<ConcreteType, TokenWise> {};
} // namespace nanocc::nano

#include "dialects/nano/NanoDialect.h.inc"
#define GET_OP_CLASSES
#include "dialects/nano/NanoOps.h.inc"

namespace nanocc::nano {
/// The declaration `symbol` names in the enclosing module; null if there is none.
ParamDeclOp lookupParam(mlir::Operation *from, mlir::FlatSymbolRefAttr symbol);
CacheOp lookupCache(mlir::Operation *from, mlir::FlatSymbolRefAttr symbol);
} // namespace nanocc::nano
