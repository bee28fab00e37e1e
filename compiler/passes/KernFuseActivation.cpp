// Activations into the products that feed them.
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEACTIVATION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct KernFuseActivationPass : nanocc::impl::KernFuseActivationBase<KernFuseActivationPass> {
  void runOnOperation() override {
    getOperation().walk([](kern::Relu2Op relu2) {
      auto product = relu2.getX().getDefiningOp<kern::ProductOp>();
      if (!product || !relu2.getX().hasOneUse() || !product.isPlain() || product.getChoice())
        return;
      product.setRelu2(true);
      relu2.replaceAllUsesWith(product.getResult());
      relu2.erase();
    });
  }
};

} // namespace
