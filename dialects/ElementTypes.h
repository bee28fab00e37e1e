// The element types of kernels_templates/base/dtype.h as MLIR has them.
#pragma once

#include "kernels_templates/base/dtype.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"

namespace nanocc {

inline mlir::Type typeOf(kernels::DType dtype, mlir::MLIRContext *context) {
  switch (dtype) {
  case kernels::DType::F32:
    return mlir::Float32Type::get(context);
  case kernels::DType::BF16:
    return mlir::BFloat16Type::get(context);
  case kernels::DType::I32:
    return mlir::IntegerType::get(context, 32);
  case kernels::DType::U32:
    return mlir::IntegerType::get(context, 32, mlir::IntegerType::Unsigned);
  case kernels::DType::F8E4M3:
    return mlir::Float8E4M3FNType::get(context);
  }
  llvm_unreachable("all element types are listed");
}

/// Null for a type that kernels do not know.
inline std::optional<kernels::DType> dtypeOf(mlir::Type element) {
  for (const kernels::ElementType &known : kernels::elementTypes)
    if (typeOf(known.type, element.getContext()) == element)
      return known.type;
  return std::nullopt;
}

/// "f32, bf16, i32, ui32, f8E4M3FN": what dtypeOf() knows, for messages; floats alone if `floats`.
inline void listElementTypes(mlir::InFlightDiagnostic &diagnostic, mlir::MLIRContext *context, bool floats = false) {
  const char *separator = "";
  for (const kernels::ElementType &known : kernels::elementTypes)
    if (!floats || kernels::isFloat(known.type)) {
      std::string text;
      llvm::raw_string_ostream(text) << typeOf(known.type, context);
      diagnostic << separator << text;
      separator = ", ";
    }
}

} // namespace nanocc
