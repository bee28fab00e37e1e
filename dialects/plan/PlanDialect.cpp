// The dialect object: registration, enums and attributes.
#include "dialects/plan/Plan.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/Sequence.h"
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

using EmitError = function_ref<InFlightDiagnostic()>;

LogicalResult RopeStepAttr::verify(EmitError emitError, FloatAttr base, int64_t positions, int64_t headSize) {
  if (!base.getType().isF64() || !(base.getValueAsDouble() > 0) || !base.getValue().isFinite())
    return emitError() << "a rotary table's base is a positive f64";
  if (positions < 1 || headSize < 1 || headSize % 2)
    return emitError() << "a rotary table has positions and an even head size";
  return success();
}

LogicalResult CastStepAttr::verify(EmitError emitError, int64_t tensor, Type type) {
  if (tensor < 0 || !(type.isF32() || type.isBF16()))
    return emitError() << "a cast is of a tensor to f32 or bf16";
  return success();
}

LogicalResult ConcatenateStepAttr::verify(EmitError emitError, ArrayRef<int64_t> tensors, int64_t axis) {
  if (tensors.empty() || axis < 0 || llvm::any_of(tensors, [](int64_t tensor) { return tensor < 0; }))
    return emitError() << "a concatenation is of one tensor or more along an axis";
  return success();
}

LogicalResult SliceStepAttr::verify(EmitError emitError, int64_t tensor, int64_t axis, int64_t begin, int64_t end) {
  if (tensor < 0 || axis < 0 || begin < 0 || begin >= end)
    return emitError() << "a slice is of a tensor's axis, from an index to a larger one";
  return success();
}

LogicalResult QuantizeStepAttr::verify(EmitError emitError, int64_t tensor, Format, int64_t axis, int64_t group) {
  if (tensor < 0 || axis < 0 || group < 0)
    return emitError() << "a tensor is quantized along an axis, in groups of a size or of 0, the whole axis";
  return success();
}

LogicalResult PermuteStepAttr::verify(EmitError emitError, int64_t tensor, ArrayRef<int64_t> view,
                                      ArrayRef<int64_t> order) {
  if (tensor < 0 || llvm::any_of(view, [](int64_t extent) { return extent < 1; }))
    return emitError() << "a permutation is of a tensor, seen with positive extents";
  SmallVector<int64_t> axes(order);
  llvm::sort(axes);
  if (order.empty() || (!view.empty() && view.size() != order.size()) ||
      !llvm::equal(axes, llvm::seq<int64_t>(0, static_cast<int64_t>(order.size()))))
    return emitError() << "a permutation's order names each axis once";
  return success();
}

LogicalResult PadStepAttr::verify(EmitError emitError, int64_t tensor, int64_t axis, int64_t before, int64_t after) {
  if (tensor < 0 || axis < 0 || before < 0 || after < 0)
    return emitError() << "a tensor's axis is padded by 0 or more zeros at each end";
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
