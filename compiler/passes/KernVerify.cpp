// Every launch against its kernel.
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

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

uint64_t countOf(Type type) {
  if (auto ring = dyn_cast<kern::KvType>(type))
    return kernels::elementCount(2, ring.getRows(), ring.getHeads(), ring.getPositions(), ring.getDim());
  return cast<RankedTensorType>(type).getNumElements();
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
    FailureOr<KernelLaunch> launch = resolve(op);
    if (failed(launch))
      return failure();
    const kernels::Values numbers = launch->numbers();
    for (auto [arg, buffer] : llvm::zip(launch->kernel->args, launch->buffers)) { // buffers come first
      kernels::DType wanted = elementType(arg, launch->params);
      Type element = elementOf(buffer.getType());
      if (dtypeOf(element) != wanted)
        return op->emitOpError() << "argument '" << arg.name << "' must be " << kernels::nameOf(wanted) << ", is "
                                 << element;
      // How far the ids of tokens and rows reach is known where the plan has placed what holds them.
      const uint64_t needed = launch->kernel->elements(arg, numbers, kernels::Limits());
      if (const uint64_t has = countOf(buffer.getType()); has < needed)
        return op->emitOpError() << "argument '" << arg.name << "' needs " << needed << " elements, has " << has;
    }
    const kernels::Engine *engine = launch->kernel->engine;
    if (!engine)
      return success();
    // What only an engine wants must be there for it, and for no other.
    for (const auto &[name, value] : op.getKernelCall().buffers)
      if (llvm::none_of(launch->kernel->args, [&](const kernels::Arg &arg) { return StringRef(arg.name) == name; }))
        return op->emitOpError() << "has " << name << ", which " << launch->kernel->text() << " has no use for";
    const std::string target = op->getParentOfType<kern::ProgramOp>().getSymName().str();
    if (std::string fault = kernels::featureFault(target, engine->needs); !fault.empty())
      return op->emitOpError() << "is served by engine '" << engine->name << "', which " << fault;
    if (std::string fault = kernels::sharedFault(target, launch->kernel->shape(launch->numbers()).sharedBytes);
        !fault.empty())
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
    return success();
  }
};

} // namespace
