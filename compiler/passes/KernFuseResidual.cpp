// The residual stream's sums into the linears that feed them.
#include "compiler/passes/Fusion.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-fuse-residual"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSERESIDUAL
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(merged, "Launches that went into others");

namespace {

/// The plain linear that makes `value` for one user alone, if its kernel may take over what the user does.
kern::LinearOp producerOf(Value value) {
  auto linear = value.getDefiningOp<kern::LinearOp>();
  bool fits = linear && value.hasOneUse() && !linear.getLibrary() &&
              linear.getType().getElementType() == linear.getX().getType().getElementType();
  return fits ? linear : kern::LinearOp();
}

/// By a product of which nothing is chosen yet.
template <typename Op, typename... Operands> void replace(Operation *op, Operands... operands) {
  LDBG() << placeOf(op) << " becomes " << Op::getOperationName();
  OpBuilder builder(op);
  op->replaceAllUsesWith(
      Op::create(builder, op->getLoc(), op->getResult(0).getType(), operands..., DictionaryAttr(), ArrayAttr()));
  op->erase();
}

void fuse(kern::AddOp add) {
  Value residual = add.getA();
  kern::LinearOp linear = producerOf(add.getB());
  if (!linear) {
    linear = producerOf(add.getA());
    residual = add.getB();
  }
  if (!linear)
    return;
  replace<kern::ProductAddOp>(add, linear.getX(), linear.getWeight(), residual);
  linear.erase();
}

/// The sum that has one user.
kern::ProductAddOp sumOf(Value value) {
  return value.hasOneUse() ? value.getDefiningOp<kern::ProductAddOp>() : nullptr;
}

/// A mix of a sum becomes part of its launch, which still gives the sum if it has other users after the mix.
void fuse(kern::MixOp mix) {
  auto sum = mix.getX().getDefiningOp<kern::ProductAddOp>();
  if (!sum || mix.getX0() == sum.getResult())
    return;
  if (sum->hasOneUse()) {
    replace<kern::ProductMixOp>(mix, sum.getX(), sum.getWeight(), sum.getR(), mix.getX0(), mix.getResid(),
                                mix.getSkip(), mix.getLayer());
    sum.erase();
    return;
  }
  if (!llvm::all_of(sum->getUsers(), [&](Operation *user) {
        return user == mix || (user->getBlock() == mix->getBlock() && mix->isBeforeInBlock(user));
      })) {
    LDBG() << placeOf(mix) << " stays: something reads the sum before it";
    return;
  }
  LDBG() << placeOf(mix) << " becomes a result of the launch that makes its sum";
  OpBuilder builder(mix);
  auto both = kern::ProductMixSumOp::create(builder, mix.getLoc(), sum.getType(), mix.getType(), sum.getX(),
                                            sum.getWeight(), sum.getR(), mix.getX0(), mix.getResid(), mix.getSkip(),
                                            mix.getLayer(), DictionaryAttr(), ArrayAttr());
  mix.getResult().replaceAllUsesWith(both.getResult());
  mix.erase();
  sum.getResult().replaceAllUsesWith(both.getSum());
  sum.erase();
}

struct KernFuseResidualPass : nanocc::impl::KernFuseResidualBase<KernFuseResidualPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "residual", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::AddOp add) { fuse(add); });
    getOperation().walk([](kern::MixOp mix) { fuse(mix); });
    getOperation().walk([](kern::BackoutOp backout) {
      if (kern::ProductAddOp sum = sumOf(backout.getX())) {
        replace<kern::ProductBackoutOp>(backout, sum.getX(), sum.getWeight(), sum.getR(), backout.getMid(),
                                        backout.getLambda());
        sum.erase();
      }
    });
  }
};

} // namespace
