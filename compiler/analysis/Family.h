// From a `kern` launch to its kernel family.
#pragma once

#include "dialects/kern/Kern.h"
#include "dialects/plan/Plan.h"
#include "kernels_templates/common/family.h"

#include "mlir/IR/BuiltinTypes.h"

#include <optional>

namespace nanocc {

/// A launch with its parameters as its family wants them.
struct FamilyCall {
  const kernels::Family *family;
  kernels::Params params;
  std::vector<kernels::Scalar> scalars;

  std::string name() const; // entry point
  kernels::LaunchShape shape() const { return family->shape(params, scalars); }
  std::vector<std::pair<uint32_t, kernels::TensorMap>> maps(const kernels::Limits &limits) const {
    return kernels::tensorMaps(*family, params, scalars, limits);
  }
  kernels::Cost cost() const { return family->cost(params, scalars); }
};

/// Null for a type that kernels do not know.
std::optional<kernels::DType> dtypeOf(mlir::Type element);
mlir::Type typeOf(kernels::DType dtype, mlir::MLIRContext *context);

/// Errors are emitted on `op`: unknown family, parameters that it does not have, a violated constraint.
mlir::FailureOr<FamilyCall> resolve(kern::KernelOp op);

/// The plan.kernel of a call in `program`, made before its entries on first use.
mlir::FlatSymbolRefAttr declareKernel(plan::ProgramOp program, const FamilyCall &call, mlir::Location loc);

} // namespace nanocc
