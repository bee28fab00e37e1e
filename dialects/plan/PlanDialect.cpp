// The dialect object: registration, enums and attributes.
#include "dialects/plan/Plan.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nanocc::plan;

#include "dialects/plan/PlanDialect.cpp.inc"
#include "dialects/plan/PlanEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.cpp.inc"

/// What cuTensorMapEncodeTiled takes at most.
LogicalResult TensorMapAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t arg,
                                    ArrayRef<int64_t> extents, ArrayRef<int64_t> strides, ArrayRef<int64_t> box,
                                    int64_t swizzle) {
  auto within = [](ArrayRef<int64_t> values, int64_t most) {
    return llvm::all_of(values, [=](int64_t value) { return value > 0 && value <= most; });
  };
  if (arg < 0 || arg > INT32_MAX || extents.size() < 2 || extents.size() > 5 || strides.size() + 1 != extents.size() ||
      box.size() != extents.size())
    return emitError() << "a tensor map is of an argument and has 2 to 5 extents, as many of its box, and a stride for "
                          "each but the first";
  if (!within(extents, UINT32_MAX) || !within(strides, (int64_t(1) << 40) - 1) || !within(box, 256) ||
      llvm::any_of(strides, [](int64_t stride) { return stride % 16 != 0; }))
    return emitError()
           << "a tensor map has positive extents below 2³², strides in multiples of 16 below 2⁴⁰, and a box "
              "of at most 256 elements a dimension";
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)
    return emitError() << "a tensor map swizzles 0, 32, 64 or 128 bytes, not " << swizzle;
  return success();
}

void PlanDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/plan/PlanAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}
