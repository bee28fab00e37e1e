// What runs a launch where there is a choice.
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNCHOOSETEMPLATES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct KernChooseTemplatesPass : nanocc::impl::KernChooseTemplatesBase<KernChooseTemplatesPass> {
  void runOnOperation() override {
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>())
      if (program.getSymName() != "cpu")
        program.walk([](kern::LinearOp linear) { linear.setLibrary("cublaslt"); });
  }
};

} // namespace
