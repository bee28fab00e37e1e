#include "compiler/pipeline/Pipelines.h"

#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;
using namespace nanocc;

/// The checks on a module of a stage.
static void addVerification(OpPassManager &manager, Stage stage) {
  switch (stage) {
  case Stage::Model:
    manager.addPass(createNanoVerifyModel());
    return;
  case Stage::Nano:
    return; // what lowering needs, lowering checks
  case Stage::Kern:
    manager.addPass(createKernVerify());
    return;
  case Stage::Plan:
    manager.addPass(createPlanVerify());
    return;
  }
}

/// The passes from the stage before.
static void addStage(OpPassManager &manager, Stage stage) {
  switch (stage) {
  case Stage::Model:
    return;
  case Stage::Nano:
    manager.addPass(createNanoFixShapes());
    manager.addPass(createNanoSelectLast());
    manager.addPass(createNanoChoosePrecision());
    break;
  case Stage::Kern:
    manager.addPass(createNanoLowerToKern());
    manager.addPass(createKernCountEager());
    manager.addPass(createKernFuseAttention());
    manager.addPass(createKernFuseEmbed());
    manager.addPass(createKernFuseNormLinear());
    manager.addPass(createKernFuseActivation());
    manager.addPass(createKernFuseResidual());
    manager.addPass(createKernChooseTemplates());
    break;
  case Stage::Plan:
    manager.addPass(createKernLowerToPlan());
    manager.addPass(createPlanFormGeneration());
    manager.addPass(createPlanPlaceMemory());
    manager.addPass(createPlanFormEdges());
    manager.addPass(createPlanCompileKernels());
    break;
  }
  addVerification(manager, stage);
  NanoSetStageOptions reached;
  reached.stage = nameOf(stage).str();
  manager.addPass(createNanoSetStage(reached));
}

void nanocc::buildPipeline(OpPassManager &manager, Stage from, Stage to) {
  addVerification(manager, from);
  for (int next = static_cast<int>(from) + 1; next <= static_cast<int>(to); ++next)
    addStage(manager, static_cast<Stage>(next));
}

/// Of a pass of the pipeline by its name, and the stage that the module had reached.
static Refusal refusalOf(StringRef pass, Stage reached) {
  if (pass == "kern-choose-templates")
    return Refusal::Choice;
  if (pass == "nano-verify-model" || pass == "nano-lower-to-kern")
    return Refusal::Contract;
  // A verifier before its stage is noted looks at the compiler's own work, afterwards at what was handed in.
  if (pass == "kern-verify")
    return reached == Stage::Kern ? Refusal::Contract : Refusal::Unsupported;
  if (pass == "plan-verify")
    return reached == Stage::Plan ? Refusal::Contract : Refusal::Internal;
  return reached < Stage::Kern ? Refusal::Unsupported : Refusal::Internal;
}

namespace {
/// Notes what the first failure is.
struct RefusalRecorder : PassInstrumentation {
  explicit RefusalRecorder(std::optional<Refusal> &refusal) : refusal(refusal) {}
  void runAfterPassFailed(Pass *pass, Operation *op) override {
    FailureOr<Stage> reached = stageOf(cast<ModuleOp>(op));
    if (!refusal)
      refusal = failed(reached) ? Refusal::Internal : refusalOf(pass->getArgument(), *reached);
  }
  std::optional<Refusal> &refusal;
};
} // namespace

std::optional<Refusal> nanocc::runPipeline(PassManager &manager, ModuleOp module, Stage from, Stage to) {
  std::optional<Refusal> refusal;
  manager.addInstrumentation(std::make_unique<RefusalRecorder>(refusal));
  buildPipeline(manager, from, to);
  if (succeeded(manager.run(module)))
    return std::nullopt;
  return refusal.value_or(Refusal::Internal);
}

namespace {
/// Those of nano-set-options, for a whole pipeline.
struct DecisionOptions : PassPipelineOptions<DecisionOptions> {
  ListOption<std::string> targets{*this, "target", llvm::cl::desc("Programs, such as cpu or sm_90a")};
  ListOption<int64_t> batches{*this, "batch", llvm::cl::desc("Rows of the decode entries")};
  ListOption<int64_t> prefill{*this, "prefill", llvm::cl::desc("Token buckets")};
  Option<int64_t> maxSeq{*this, "max-seq", llvm::cl::desc("Positions a session holds"), llvm::cl::init(0)};
  Option<std::string> precision{*this, "precision", llvm::cl::desc("f32, bf16 or auto")};
  Option<std::string> fuse{*this, "fuse", llvm::cl::desc("none, all or some of attention,embed,norm,...")};
  ListOption<std::string> templates{*this, "template", llvm::cl::desc("As {{PATTERN=ENGINE,PARAMETER=N},...}")};
  ListOption<std::string> tuning{*this, "tuning", llvm::cl::desc("Files of nanort tune")};

  NanoSetOptionsOptions asPassOptions() const {
    NanoSetOptionsOptions options;
    options.targets = llvm::to_vector(targets);
    options.batches = llvm::to_vector(batches);
    options.prefill = llvm::to_vector(prefill);
    options.maxSeq = maxSeq;
    options.precision = precision;
    options.fuse = fuse;
    options.templates = llvm::to_vector(templates);
    options.tuning = llvm::to_vector(tuning);
    return options;
  }
};
} // namespace

/// From a model on: its options first, then the pipeline.
static void registerFromModel(StringRef name, StringRef summary, Stage to) {
  PassPipelineRegistration<DecisionOptions>(name, summary,
                                            [to](OpPassManager &manager, const DecisionOptions &options) {
                                              manager.addPass(createNanoSetOptions(options.asPassOptions()));
                                              buildPipeline(manager, Stage::Model, to);
                                            });
}

void nanocc::registerPipelines() {
  registerFromModel("model-to-nano", "From the importer's model to static entries", Stage::Nano);
  registerFromModel("model-to-plan", "All of nanocc but the file", Stage::Plan);
  PassPipelineRegistration<>("nano-to-kern", "From static entries to launches",
                             [](OpPassManager &manager) { buildPipeline(manager, Stage::Nano, Stage::Kern); });
  PassPipelineRegistration<>("kern-to-plan", "From launches to a plan",
                             [](OpPassManager &manager) { buildPipeline(manager, Stage::Kern, Stage::Plan); });
}
