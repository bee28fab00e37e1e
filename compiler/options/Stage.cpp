#include "compiler/options/Stage.h"

#include "dialects/nano/Nano.h"

using namespace mlir;
using namespace nanocc;

std::optional<Stage> nanocc::parseStage(StringRef name) {
  for (Stage stage : {Stage::Nano, Stage::Kern, Stage::Plan})
    if (name == nameOf(stage))
      return stage;
  return std::nullopt;
}

StringRef nanocc::nameOf(Stage stage) {
  switch (stage) {
  case Stage::Model:
    return "";
  case Stage::Nano:
    return "nano";
  case Stage::Kern:
    return "kern";
  case Stage::Plan:
    return "plan";
  }
  llvm_unreachable("all stages are listed");
}

FailureOr<Stage> nanocc::stageOf(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(nano::NanoDialect::stageAttr);
  if (!name)
    return Stage::Model;
  if (std::optional<Stage> stage = parseStage(name.getValue()))
    return *stage;
  return module.emitError() << "unknown stage '" << name.getValue() << "'; stages are nano, kern and plan";
}
