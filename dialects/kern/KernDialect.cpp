// The dialect object: registration and types.
#include "dialects/ElementTypes.h"
#include "dialects/kern/Kern.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nanocc;
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
  const std::optional<kernels::DType> dtype = dtypeOf(element);
  if (dtype && kernels::isFloat(*dtype))
    return success();
  InFlightDiagnostic error = emitError();
  error << "a ring holds floats (";
  listElementTypes(error, element.getContext(), true);
  return error << "), not " << element;
}

LogicalResult KernDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != eagerAttr)
    return op->emitError() << "unknown attribute '" << attribute.getName().strref() << "' of the kern dialect";
  auto counts = dyn_cast<DictionaryAttr>(attribute.getValue());
  for (StringRef count : {"launches", "bytes", "flops"}) {
    auto value = counts ? counts.getAs<IntegerAttr>(count) : IntegerAttr();
    if (!value || value.getInt() < 0)
      return op->emitError() << "'kern.eager' needs '" << count << "', 0 or more";
  }
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
