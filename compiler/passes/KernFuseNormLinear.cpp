// Norms into the products that they feed.
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

/// The norm of whole slots that feeds `product`, if its kernel may take it over.
kern::RmsNormOp normOf(kern::ProductOp product) {
  auto norm = product.getX().getDefiningOp<kern::RmsNormOp>();
  if (!norm || !product.isPlain() || product.getNorm() || product.getChoice())
    return {};
  ArrayRef<int64_t> shape = cast<RankedTensorType>(norm.getType()).getShape();
  return norm.getWidth() == static_cast<uint64_t>(shape.back()) ? norm : kern::RmsNormOp();
}

struct KernFuseNormLinearPass : nanocc::impl::KernFuseNormLinearBase<KernFuseNormLinearPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "norm", merged);
    if (!scope)
      return;
    getOperation().walk([](kern::ProductOp product) {
      kern::RmsNormOp norm = normOf(product);
      if (!norm)
        return;
      LDBG() << placeOf(product) << " takes over " << placeOf(norm);
      product.setNorm(true);
      product.getXMutable().assign(norm.getX());
      if (norm.use_empty())
        norm.erase();
    });
  }
};

} // namespace
