// The stage that a module has reached, as its attribute.
#include "compiler/options/Stage.h"
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOSETSTAGE
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct NanoSetStagePass : nanocc::impl::NanoSetStageBase<NanoSetStagePass> {
  using NanoSetStageBase::NanoSetStageBase;

  void runOnOperation() override {
    if (!parseStage(stage)) {
      getOperation().emitError() << "unknown stage '" << stage << "'; stages are nano, kern and plan";
      return signalPassFailure();
    }
    getOperation()->setAttr(nano::NanoDialect::stageAttr, StringAttr::get(&getContext(), stage));
  }
};

} // namespace
