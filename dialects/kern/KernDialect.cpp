// The dialect object: registration and types.
#include "dialects/kern/Kern.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nanocc::kern;

#include "dialects/kern/KernDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kern/KernTypes.cpp.inc"

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
