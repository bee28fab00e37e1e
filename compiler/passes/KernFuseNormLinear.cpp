// Norms into the linears that they feed.
#include "compiler/passes/Fusion.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-fuse-norm-linear"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSENORMLINEAR
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(merged, "Launches that went into others");

namespace {

/// The norm of whole slots that feeds `linear`, if its kernel may take it over.
kern::RmsNormOp normOf(kern::LinearOp linear) {
  auto norm = linear.getX().getDefiningOp<kern::RmsNormOp>();
  if (!norm || linear.getLibrary())
    return {};
  ArrayRef<int64_t> shape = cast<RankedTensorType>(norm.getType()).getShape();
  return norm.getWidth() == static_cast<uint64_t>(shape.back()) ? norm : kern::RmsNormOp();
}

struct KernFuseNormLinearPass : nanocc::impl::KernFuseNormLinearBase<KernFuseNormLinearPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "norm", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::LinearOp linear) {
      kern::RmsNormOp norm = normOf(linear);
      if (!norm)
        return;
      LDBG() << placeOf(linear) << " takes over " << placeOf(norm);
      OpBuilder builder(linear);
      auto fused = kern::ProductOp::create(builder, linear.getLoc(), linear.getType(), norm.getX(), linear.getWeight(),
                                           /*norm=*/true, /*relu2=*/false, DictionaryAttr(), ArrayAttr());
      linear.replaceAllUsesWith(fused.getResult());
      linear.erase();
      if (norm.use_empty())
        norm.erase();
    });
  }
};

} // namespace
