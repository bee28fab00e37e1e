#include "compiler/pipeline/Pipelines.h"

#include "compiler/passes/Passes.h"
#include "compiler/pipeline/Options.h"

using namespace mlir;
using namespace nanocc;

std::optional<Stage> nanocc::parseStage(StringRef name) {
  if (name == "nano")
    return Stage::Nano;
  if (name == "kern")
    return Stage::Kern;
  if (name == "plan")
    return Stage::Plan;
  return std::nullopt;
}

FailureOr<Stage> nanocc::stageOf(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(nano::NanoDialect::stageAttr);
  if (!name)
    return Stage::Model;
  if (std::optional<Stage> stage = parseStage(name.getValue()))
    return *stage;
  return module.emitError() << "unknown stage '" << name.getValue() << "'; stages are nano, kern and plan";
}

void nanocc::setStage(ModuleOp module, Stage stage) {
  StringRef names[] = {"", "nano", "kern", "plan"};
  module->setAttr(nano::NanoDialect::stageAttr, StringAttr::get(module.getContext(), names[static_cast<int>(stage)]));
}

void nanocc::populateVerification(OpPassManager &manager, Stage stage) {
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

void nanocc::populateStage(OpPassManager &manager, Stage stage, StringRef fuse) {
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
    if (fuses(fuse, "attention"))
      manager.addPass(createKernFuseAttention());
    if (fuses(fuse, "embed"))
      manager.addPass(createKernFuseEmbed());
    if (fuses(fuse, "norm"))
      manager.addPass(createKernFuseNormLinear());
    if (fuses(fuse, "activation"))
      manager.addPass(createKernFuseActivation());
    if (fuses(fuse, "residual"))
      manager.addPass(createKernFuseResidual());
    return; // kern-choose-templates and the verifier follow: what they refuse is somebody else's fault
  case Stage::Plan:
    manager.addPass(createKernLowerToPlan());
    manager.addPass(createPlanFormGeneration());
    manager.addPass(createPlanPlaceMemory());
    manager.addPass(createPlanFormEdges());
    manager.addPass(createPlanCompileKernels());
    break;
  }
  populateVerification(manager, stage);
}
