// Activations into the products that feed them.
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

struct KernFuseActivationPass : nanocc::impl::KernFuseActivationBase<KernFuseActivationPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "activation", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::Relu2Op relu2) {
      auto product = relu2.getX().getDefiningOp<kern::ProductOp>();
      if (!product || !relu2.getX().hasOneUse() || !product.isPlain() || product.getChoice())
        return;
      LDBG() << placeOf(relu2) << " goes into " << placeOf(product);
      product.setRelu2(true);
      relu2.replaceAllUsesWith(product.getResult());
      relu2.erase();
    });
  }
};

} // namespace
