// Every launch against its kernel family.
#include "codegen/DeviceModel.h"
#include "compiler/analysis/Family.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-verify"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNVERIFY
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(checked, "Launches checked");

namespace {

/// Tensor or ring: what a buffer argument may be.
static Type elementOf(Type type) {
  if (auto ring = dyn_cast<kern::KvType>(type))
    return ring.getElement();
  return getElementTypeOrSelf(type);
}

struct KernVerifyPass : nanocc::impl::KernVerifyBase<KernVerifyPass> {
  void runOnOperation() override {
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>()) {
      WalkResult walk = program.walk([](Operation *op) -> WalkResult {
        return llvm::TypeSwitch<Operation *, LogicalResult>(op)
            .Case<kern::KernelOp, kern::WeightOp, func::FuncOp>([](auto typed) { return verify(typed); })
            .Default(success());
      });
      if (walk.wasInterrupted())
        return signalPassFailure();
    }
  }

  static LogicalResult verify(kern::KernelOp op) {
    FailureOr<FamilyCall> call = resolve(op);
    if (failed(call))
      return failure();
    LDBG() << op->getName() << " is " << call->name();
    ++checked;
    SmallVector<Value> buffers(op->getOperands());
    llvm::append_range(buffers, op->getResults());
    size_t buffer = 0, scalar = 0;
    for (const kernels::ArgDecl &arg : call->family->args) {
      StringRef name(arg.name.data(), arg.name.size());
      if (isScalar(arg.kind)) {
        ++scalar;
        continue;
      }
      if (buffer == buffers.size())
        return op->emitOpError() << "lacks the argument '" << name << "' of family '" << op.getKernelCall().family
                                 << "'";
      kernels::DType wanted = elementType(arg, call->params);
      Type element = elementOf(buffers[buffer++].getType());
      if (dtypeOf(element) != wanted)
        return op->emitOpError() << "argument '" << name << "' must be " << kernels::nameOf(wanted).data() << ", is "
                                 << element;
    }
    StringRef target = op->getParentOfType<kern::ProgramOp>().getSymName();
    if (!call->family->target.empty() && target != StringRef(call->family->target))
      return op->emitOpError() << "is served by family '" << op.getKernelCall().family << "', which is for "
                               << call->family->target.data() << " alone";
    if (buffer != buffers.size() || scalar != call->scalars.size())
      return op->emitOpError() << "gives " << buffers.size() << " buffers and " << call->scalars.size()
                               << " scalars, family '" << op.getKernelCall().family << "' takes " << buffer << " and "
                               << scalar;
    if (std::string fault = codegen::sharedFault(target.str(), call->shape().sharedBytes); !fault.empty())
      return op->emitOpError() << fault;
    return success();
  }

  /// Weights name parameters of their shape.
  static LogicalResult verify(kern::WeightOp weight) {
    ArrayRef<int64_t> shape = cast<ShapedType>(weight.getType()).getShape();
    int64_t rows = 0;
    for (auto symbol : weight.getParams().getAsRange<FlatSymbolRefAttr>()) {
      auto param = SymbolTable::lookupNearestSymbolFrom<nano::ParamDeclOp>(weight->getParentOfType<ModuleOp>(), symbol);
      if (!param)
        return weight.emitOpError() << symbol << " is not a nano.param of this module";
      ArrayRef<int64_t> part = cast<ShapedType>(param.getType()).getShape();
      bool alone = weight.getParams().size() == 1;
      if (alone ? part != shape : part.empty() || shape.empty() || part.drop_front() != shape.drop_front())
        return weight.emitOpError() << "has another shape than " << symbol << ", " << param.getType();
      rows += alone ? 0 : part.front();
    }
    if (weight.getParams().size() > 1 && rows != shape.front())
      return weight.emitOpError() << "has " << shape.front() << " rows, its parameters have " << rows;
    return success();
  }

  /// An entry point is a block of launches and handles over bound tensors that returns what launches made.
  static LogicalResult verify(func::FuncOp entry) {
    if (!entry->hasAttr(nano::NanoDialect::entryAttr) || !llvm::hasSingleElement(entry.getBody()))
      return entry.emitError("is not an entry point: it needs 'nano.entry' and one block");
    auto isStatic = [](Value value) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      return type && type.hasStaticShape();
    };
    Block &body = entry.getBody().front();
    if (!llvm::all_of(body.getArguments(), isStatic))
      return entry.emitError("is not an entry point: its arguments must be tensors of static shape");
    for (Operation &op : body.without_terminator())
      if (!isa<kern::KernelOp, kern::RefOp>(op))
        return op.emitOpError("is neither a launch nor a kern.ref");
    for (Value result : body.getTerminator()->getOperands())
      if (!isa_and_nonnull<kern::KernelOp>(result.getDefiningOp()))
        return entry.emitError("is not an entry point: it must return what its launches made");
    return verifyBindings(entry);
  }

  /// What a session does with an entry, and by which names it gives and takes tensors.
  static LogicalResult verifyBindings(func::FuncOp entry) {
    auto shape = entry->getAttrOfType<DictionaryAttr>(nano::NanoDialect::entryAttr);
    auto kind = shape ? shape.getAs<StringAttr>("kind") : StringAttr();
    if (!kind || !llvm::is_contained({"prefill", "decode", "score"}, kind.getValue()))
      return entry.emitError("is not an entry point: it needs 'nano.entry' with kind prefill, decode or score");
    for (unsigned i = 0; i < entry.getNumArguments(); ++i)
      if (!entry.getArgAttrOfType<StringAttr>(i, nano::NanoDialect::bindingAttr))
        return entry.emitError() << "argument " << i << " needs 'nano.binding'";
    for (unsigned i = 0; i < entry.getNumResults(); ++i)
      if (!entry.getResultAttrOfType<StringAttr>(i, nano::NanoDialect::bindingAttr))
        return entry.emitError() << "result " << i << " needs 'nano.binding'";
    return success();
  }
};

} // namespace
