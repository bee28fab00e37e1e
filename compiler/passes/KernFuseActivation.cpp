// Activations into the linears that feed them.
#include "compiler/passes/Fusion.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-fuse-activation"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEACTIVATION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(merged, "Launches that went into others");

namespace {

/// The launch that makes `value` for one user alone, as a kern.product still without activation.
kern::ProductOp producerOf(Value value) {
  if (!value.hasOneUse())
    return {};
  if (auto product = value.getDefiningOp<kern::ProductOp>())
    return product.getRelu2() ? kern::ProductOp() : product;
  auto linear = value.getDefiningOp<kern::LinearOp>();
  if (!linear || linear.getLibrary())
    return {};
  OpBuilder builder(linear);
  auto product = kern::ProductOp::create(builder, linear.getLoc(), linear.getType(), linear.getX(), linear.getWeight(),
                                         /*norm=*/false, /*relu2=*/false, DictionaryAttr(), ArrayAttr());
  linear.replaceAllUsesWith(product.getResult());
  linear.erase();
  return product;
}

struct KernFuseActivationPass : nanocc::impl::KernFuseActivationBase<KernFuseActivationPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "activation", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::Relu2Op relu2) {
      kern::ProductOp product = producerOf(relu2.getX());
      if (!product)
        return;
      LDBG() << placeOf(relu2) << " goes into " << placeOf(product);
      product.setRelu2(true);
      relu2.replaceAllUsesWith(product.getResult());
      relu2.erase();
    });
  }
};

} // namespace
