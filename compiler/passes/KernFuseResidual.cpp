// The residual stream's sums into the products that feed them.
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

/// The plain product without a norm that makes `value` for one user alone, if its kernel may take over what the user
/// does.
kern::ProductOp producerOf(Value value) {
  auto product = value.getDefiningOp<kern::ProductOp>();
  bool fits = product && value.hasOneUse() && product.isPlain() && !product.getNorm() && !product.getChoice() &&
              getElementTypeOrSelf(product.getResult()) == getElementTypeOrSelf(product.getX());
  return fits ? product : kern::ProductOp();
}

/// The product goes where its user is: by then all operands are there.
kern::ProductOp takeOver(kern::ProductOp product, Operation *user) {
  LDBG() << placeOf(user) << " goes into " << placeOf(product);
  product->moveBefore(user);
  user->getResult(0).replaceAllUsesWith(product.getResult());
  user->erase();
  return product;
}

void fuse(kern::AddOp add) {
  Value residual = add.getA();
  kern::ProductOp product = producerOf(add.getB());
  if (!product) {
    product = producerOf(add.getA());
    residual = add.getB();
  }
  if (product)
    takeOver(product, add).getRMutable().assign(residual);
}

/// A sum r + x wᵀ into which nothing else is fused.
kern::ProductOp sumOf(Value value) {
  auto product = value.getDefiningOp<kern::ProductOp>();
  return product && product.getR() && !product.getX0() && !product.getMid() ? product : kern::ProductOp();
}

void setMix(kern::ProductOp product, kern::MixOp mix) {
  product.getX0Mutable().assign(mix.getX0());
  product.getResidMutable().assign(mix.getResid());
  product.getSkipMutable().assign(mix.getSkip());
  product.setLayer(mix.getLayer());
}

/// A mix of a sum becomes part of its launch, which still gives the sum if it has other users after the mix.
void fuse(kern::MixOp mix) {
  kern::ProductOp sum = sumOf(mix.getX());
  if (!sum || mix.getX0() == sum.getResult())
    return;
  if (sum.getResult().hasOneUse()) {
    setMix(sum, mix);
    takeOver(sum, mix);
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
  auto both = kern::ProductOp::create(builder, mix.getLoc(), TypeRange{sum.getResult().getType(), mix.getType()},
                                      sum->getOperands(), sum->getAttrs());
  setMix(both, mix);
  mix.getResult().replaceAllUsesWith(both.getResult());
  mix.erase();
  sum.getResult().replaceAllUsesWith(both.getSum());
  sum.erase();
}

void fuse(kern::BackoutOp backout) {
  kern::ProductOp sum = sumOf(backout.getX());
  if (!sum || !sum.getResult().hasOneUse())
    return;
  sum.getMidMutable().assign(backout.getMid());
  sum.getLambdaMutable().assign(backout.getLambda());
  takeOver(sum, backout);
}

struct KernFuseResidualPass : nanocc::impl::KernFuseResidualBase<KernFuseResidualPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "residual", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::AddOp add) { fuse(add); });
    getOperation().walk([](kern::MixOp mix) { fuse(mix); });
    getOperation().walk([](kern::BackoutOp backout) { fuse(backout); });
  }
};

} // namespace
