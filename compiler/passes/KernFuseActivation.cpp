// Activations into the linears that feed them.
#include "compiler/passes/Passes.h"
#include "kernels_templates/common/gemv.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEACTIVATION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

/// The launch that makes `value` for one user alone, as a kern.gemv still without activation.
kern::GemvOp producerOf(Value value) {
  if (!value.hasOneUse())
    return {};
  if (auto gemv = value.getDefiningOp<kern::GemvOp>())
    return gemv.getRelu2() ? kern::GemvOp() : gemv;
  auto linear = value.getDefiningOp<kern::LinearOp>();
  if (!linear || linear.getLibrary() || cast<RankedTensorType>(linear.getType()).getDimSize(0) > kernels::gemvRows)
    return {};
  OpBuilder builder(linear);
  auto gemv = kern::GemvOp::create(builder, linear.getLoc(), linear.getType(), linear.getX(), linear.getWeight(),
                                   /*norm=*/false, /*relu2=*/false);
  linear.replaceAllUsesWith(gemv.getResult());
  linear.erase();
  return gemv;
}

struct KernFuseActivationPass : nanocc::impl::KernFuseActivationBase<KernFuseActivationPass> {
  void runOnOperation() override {
    getOperation().walk([](kern::Relu2Op relu2) {
      kern::GemvOp gemv = producerOf(relu2.getX());
      if (!gemv)
        return;
      gemv.setRelu2(true);
      relu2.replaceAllUsesWith(gemv.getResult());
      relu2.erase();
    });
  }
};

} // namespace
