#include "compiler/passes/Fusion.h"

#include "compiler/analysis/Location.h"
#include "compiler/options/Options.h"
#include "dialects/kern/Kern.h"
#include "dialects/nano/Nano.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nanocc;

static bool isWanted(ModuleOp module, StringRef fusion) {
  auto options = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::optionsAttr);
  auto fuse = options ? options.getAs<StringAttr>("fuse") : StringAttr();
  return !fuse || fuses(fuse.getValue(), fusion);
}

static int64_t launchesIn(ModuleOp module) {
  int64_t launches = 0;
  module.walk([&](kern::KernelOp) { ++launches; });
  return launches;
}

FusionScope::FusionScope(ModuleOp module, StringRef fusion, llvm::TrackingStatistic &merged)
    : module(module), merged(merged), wanted(isWanted(module, fusion)), before(launchesIn(module)) {}

FusionScope::~FusionScope() { merged += static_cast<uint64_t>(before - launchesIn(module)); }

std::string nanocc::placeOf(Operation *launch) {
  auto program = launch->getParentOfType<kern::ProgramOp>();
  auto entry = launch->getParentOfType<func::FuncOp>();
  return ((program ? program.getSymName() + " " : "") + (entry ? entry.getSymName() + ": " : "") +
          launch->getName().getStringRef() + " at " + locationText(launch->getLoc()))
      .str();
}
