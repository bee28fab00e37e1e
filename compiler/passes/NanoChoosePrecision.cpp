// The stored type of every activation.
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "nano-choose-precision"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOCHOOSEPRECISION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(stored, "Activations stored in less than f32");

namespace {

struct NanoChoosePrecisionPass : nanocc::impl::NanoChoosePrecisionBase<NanoChoosePrecisionPass> {
  void runOnOperation() override {
    FailureOr<Options> options = getOptions(getOperation());
    if (failed(options))
      return signalPassFailure();
    if (options->precision == "f32")
      return;
    getOperation().walk([](func::FuncOp entry) {
      if (entry.isExternal())
        return;
      const uint64_t before = stored;
      for (Operation &op : entry.getBody().front().without_terminator())
        for (Value result : op.getResults())
          if (auto type = dyn_cast<RankedTensorType>(result.getType());
              type && type.getElementType().isF32() && !isLogits(result))
            store(result, type);
      LDBG() << entry.getSymName() << ": " << stored - before << " activations in bf16";
    });
  }

private:
  static void store(Value result, RankedTensorType type) {
    result.setType(type.clone(BFloat16Type::get(type.getContext())));
    ++stored;
  }

  /// What the softcap, the sampler and the likelihood read or give.
  static bool isLogits(Value value) {
    if (isa<nano::SoftcapOp, nano::NllOp>(value.getDefiningOp()))
      return true;
    return llvm::any_of(value.getUsers(), [](Operation *user) {
      return isa<nano::SoftcapOp, nano::SampleOp, nano::NllOp, func::ReturnOp>(user) ||
             (isa<nano::LastOp>(user) && isLogits(user->getResult(0)));
    });
  }
};

} // namespace
