// The dialect object: registration and the module attributes' rules.
#include "dialects/nano/Nano.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nanocc::nano;

#include "dialects/nano/NanoDialect.cpp.inc"

void NanoDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/nano/NanoOps.cpp.inc"
      >();
}

LogicalResult NanoDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  auto onModule = [&]() -> LogicalResult {
    if (isa<ModuleOp>(op))
      return success();
    return op->emitError() << "'" << name << "' belongs on the builtin.module";
  };
  if (name == weightsAttr || name == tokenizerAttr || name == stageAttr) {
    if (failed(onModule()))
      return failure();
    if (!isa<StringAttr>(attribute.getValue()))
      return op->emitError() << "'" << name << "' must be a string";
    return success();
  }
  if (name == modelAttr || name == optionsAttr) {
    if (failed(onModule()))
      return failure();
    auto facts = dyn_cast<DictionaryAttr>(attribute.getValue());
    if (!facts)
      return op->emitError() << "'" << name << "' must be a dictionary";
    if (name == optionsAttr)
      return success();
    if (!facts.getAs<StringAttr>("name"))
      return op->emitError() << "'nano.model' needs the string 'name'";
    for (StringRef key : {"layers", "width", "heads", "kv_heads", "head_dim", "vocab", "sequence_len"}) {
      auto value = facts.getAs<IntegerAttr>(key);
      if (!value || value.getInt() <= 0 || value.getInt() > (int64_t(1) << 31) - 1)
        return op->emitError() << "'nano.model' needs the positive integer '" << key << "'";
    }
    return success();
  }
  if (name == entryAttr) {
    auto entry = dyn_cast<DictionaryAttr>(attribute.getValue());
    if (!isa<func::FuncOp>(op) || !entry || !entry.getAs<StringAttr>("kind") || !entry.getAs<IntegerAttr>("tokens") ||
        !entry.getAs<IntegerAttr>("rows"))
      return op->emitError() << "'nano.entry' must be {kind, tokens, rows} on a func.func";
    for (StringRef extent : {"tokens", "rows"})
      if (entry.getAs<IntegerAttr>(extent).getValue().slt(1))
        return op->emitError() << "'nano.entry' needs at least one of its " << extent;
    return success();
  }
  return op->emitError() << "unknown attribute '" << name << "' of the nano dialect";
}
