// What an entry is launch by launch, to compare with what fusion leaves of it.
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/passes/Passes.h"

#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-count-eager"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNCOUNTEAGER
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct KernCountEagerPass : nanocc::impl::KernCountEagerBase<KernCountEagerPass> {
  void runOnOperation() override {
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>())
      for (func::FuncOp entry : program.getOps<func::FuncOp>())
        if (failed(count(entry)))
          return signalPassFailure();
  }

  static LogicalResult count(func::FuncOp entry) {
    int64_t launches = 0, bytes = 0, flops = 0;
    for (kern::KernelOp launch : entry.getOps<kern::KernelOp>()) {
      FailureOr<KernelLaunch> call = resolveMeaning(launch);
      if (failed(call))
        return failure();
      kernels::Cost cost = call->kernel->cost(call->numbers());
      ++launches;
      bytes += cost.bytes;
      flops += cost.flops;
    }
    LDBG() << entry.getSymName() << ": " << launches << " launches, " << bytes << " bytes, " << flops << " FLOPs";
    Builder builder(entry.getContext());
    auto named = [&](StringRef name, int64_t value) {
      return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
    };
    entry->setAttr(
        kern::KernDialect::eagerAttr,
        builder.getDictionaryAttr({named("launches", launches), named("bytes", bytes), named("flops", flops)}));
    return success();
  }
};

} // namespace
