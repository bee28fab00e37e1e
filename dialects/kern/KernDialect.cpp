// The dialect object: registration and types.
#include "dialects/kern/Kern.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nanocc::kern;

#include "dialects/kern/KernDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kern/KernTypes.cpp.inc"

LogicalResult KvType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows, int64_t heads,
                             int64_t positions, int64_t dim, Type element) {
  constexpr int64_t largestExtent = 1 << 20;
  for (int64_t extent : {rows, heads, positions, dim})
    if (extent < 1 || extent > largestExtent)
      return emitError() << "a ring's extents must be from 1 to " << largestExtent << ", one is " << extent;
  if (!element.isF32() && !element.isBF16())
    return emitError() << "a ring holds f32 or bf16, not " << element;
  return success();
}

void KernDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/kern/KernTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/kern/KernOps.cpp.inc"
      >();
}
