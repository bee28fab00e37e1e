// What a model must be before anything is decided about it.
#include "compiler/passes/Passes.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOVERIFYMODEL
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct NanoVerifyModelPass : nanocc::impl::NanoVerifyModelBase<NanoVerifyModelPass> {
  void runOnOperation() override {
    if (failed(verifyModel(getOperation())))
      signalPassFailure();
  }
};

} // namespace

/// Only nano operations on (batch, sequence, ...) values, and each cache feeding one layer.
static LogicalResult verifyBody(func::FuncOp forward) {
  llvm::StringMap<Operation *> users;
  for (Operation &op : forward.getBody().front().without_terminator()) {
    if (!isa<nano::NanoDialect>(op.getDialect()) || isa<nano::LastOp, nano::SampleOp, nano::NllOp>(op))
      return op.emitOpError("does not belong in @forward");
    for (Value result : op.getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      bool fits = type && type.getRank() >= 2 && type.isDynamicDim(0) && type.isDynamicDim(1);
      if (!fits || llvm::any_of(type.getShape().drop_front(2), [](int64_t extent) { return extent <= 0; }))
        return op.emitOpError() << "must have a result of shape (?, ?) or (?, ?, channels), has " << result.getType();
    }
    auto attention = dyn_cast<nano::AttentionOp>(op);
    if (!attention)
      continue;
    auto [other, fresh] = users.try_emplace(attention.getCache(), &op);
    if (!fresh)
      return op.emitOpError() << "shares cache @" << attention.getCache() << " with another layer; each needs its own";
  }
  return success();
}

LogicalResult nanocc::verifyModel(ModuleOp module) {
  if (!module->hasAttr(nano::NanoDialect::modelAttr) || !module->hasAttr(nano::NanoDialect::weightsAttr))
    return module.emitError(
        "a model needs the module attributes 'nano.model' and 'nano.weights'; nanocc-import writes them");
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return module.emitError("a model needs a function @forward with a body");

  auto dynamic = [](Type type, int64_t rank) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == rank && tensor.isDynamicDim(0) && tensor.isDynamicDim(1);
  };
  FunctionType type = forward.getFunctionType();
  if (type.getNumInputs() != 1 || type.getNumResults() != 1 || !dynamic(type.getInput(0), 2) ||
      !dynamic(type.getResult(0), 3))
    return forward.emitError("@forward must map token ids tensor<?x?xi32> to logits tensor<?x?xVxf32>");
  if (!llvm::hasSingleElement(forward.getBody()))
    return forward.emitError("@forward must be one block");
  auto logits = forward.getBody().front().getTerminator()->getOperand(0).getDefiningOp<nano::SoftcapOp>();
  if (!logits)
    return forward.emitError("@forward must return the result of nano.softcap");
  if (!logits->hasOneUse())
    return logits.emitOpError("gives the logits; nothing but the return may read them");
  int64_t vocab = cast<ShapedType>(logits.getType()).getShape().back();
  auto facts = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::modelAttr);
  if (facts.getAs<IntegerAttr>("vocab").getInt() != vocab)
    return logits.emitError() << "gives " << vocab << " logits, 'nano.model' says a vocabulary of "
                              << facts.getAs<IntegerAttr>("vocab").getInt();
  return verifyBody(forward);
}
