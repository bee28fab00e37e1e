// Every launch against its kernel family.
#include "compiler/analysis/Family.h"
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNVERIFY
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

/// Tensor or ring: what a buffer argument may be.
static Type elementOf(Type type) {
  if (auto ring = dyn_cast<kern::KvType>(type))
    return ring.getElement();
  return getElementTypeOrSelf(type);
}

struct KernVerifyPass : nanocc::impl::KernVerifyBase<KernVerifyPass> {
  void runOnOperation() override {
    WalkResult walk = getOperation().walk(
        [&](kern::KernelOp op) { return failed(verify(op)) ? WalkResult::interrupt() : WalkResult::advance(); });
    if (walk.wasInterrupted())
      signalPassFailure();
  }

  static LogicalResult verify(kern::KernelOp op) {
    FailureOr<FamilyCall> call = resolve(op);
    if (failed(call))
      return failure();
    SmallVector<Value> buffers(op->getOperands());
    llvm::append_range(buffers, op->getResults());
    size_t buffer = 0, scalar = 0;
    for (const kernels::ArgDecl &arg : call->family->args) {
      StringRef name(arg.name.data(), arg.name.size());
      if (arg.kind == kernels::ArgKind::I32 || arg.kind == kernels::ArgKind::F32) {
        ++scalar;
        continue;
      }
      if (buffer == buffers.size())
        return op->emitOpError() << "lacks the argument '" << name << "' of family '" << op.getKernelCall().family
                                 << "'";
      kernels::DType wanted = argType(*call->family, arg, call->params);
      Type element = elementOf(buffers[buffer++].getType());
      if (dtypeOf(element) != wanted)
        return op->emitOpError() << "argument '" << name << "' must be " << kernels::nameOf(wanted).data() << ", is "
                                 << element;
    }
    if (buffer != buffers.size() || scalar != call->scalars.size())
      return op->emitOpError() << "gives " << buffers.size() << " buffers and " << call->scalars.size()
                               << " scalars, family '" << op.getKernelCall().family << "' takes " << buffer << " and "
                               << scalar;
    return verifyRanges(op);
  }

  /// Scalars of a launch are 32 bits wide.
  static LogicalResult verifyRanges(kern::KernelOp op) {
    for (Value value : op->getOperands())
      if (auto tensor = dyn_cast<RankedTensorType>(value.getType());
          tensor && !isa_and_nonnull<kern::RefOp>(value.getDefiningOp()) && tensor.getNumElements() > INT32_MAX)
        return op->emitOpError() << "activation " << tensor
                                 << " has more than 2³¹ elements; use smaller prefill buckets";
    return success();
  }
};

} // namespace
