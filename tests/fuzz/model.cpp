// model.mlir, or an emitted stage: refused, or compiled to a plan that passes its own check.
#include "compiler/options/Options.h"
#include "compiler/pipeline/Pipelines.h"
#include "compiler/serialize/PlanFile.h"
#include "dialects/kern/Kern.h"
#include "dialects/nano/Nano.h"
#include "dialects/plan/Plan.h"
#include "tests/fuzz/input.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace nanocc;

static void compile(llvm::StringRef text) {
  DialectRegistry registry;
  registry.insert<nano::NanoDialect, kern::KernDialect, plan::PlanDialect, func::FuncDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.getDiagEngine().registerHandler([](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (!module || !(*module)->hasAttr(nano::NanoDialect::modelAttr))
    return;
  OptionFlags flags;
  if (!(*module)->hasAttr(nano::NanoDialect::optionsAttr)) {
    flags.targets = {"cpu"};
    flags.maxSeq = 16;
    flags.prefill = {16};
  }
  if (resolveOptions(*module, flags))
    return;
  FailureOr<Stage> stage = stageOf(*module);
  if (failed(stage))
    return;
  PassManager manager(&context);
  // What kern-lower-to-plan and the passes after it do not understand must have been refused before them.
  std::optional<Refusal> refusal = runPipeline(manager, *module, *stage, Stage::Plan);
  if (refusal == Refusal::Internal)
    std::abort();
  if (!refusal)
    (void)writePlan(*module);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int once = setenv("NANORT_NVRTC", "/nonexistent", 1);
  (void)once;
  const std::string text(reinterpret_cast<const char *>(data), size);
  fuzz::expectRefusalOrSuccess([&] { compile(text); });
  return 0;
}
