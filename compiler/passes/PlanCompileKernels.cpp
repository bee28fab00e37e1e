// Machine code for every kernel source.
#include "codegen/Cache.h"
#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/base/target.h"
#include "runtime/base/error.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#include <cstdio>

#define DEBUG_TYPE "plan-compile-kernels"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANCOMPILEKERNELS
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(compiled, "Kernels compiled");
ALWAYS_ENABLED_STATISTIC(cached, "Kernels whose machine code came from the cache");

namespace {

struct PlanCompileKernelsPass : nanocc::impl::PlanCompileKernelsBase<PlanCompileKernelsPass> {
  using PlanCompileKernelsBase::PlanCompileKernelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::unique_ptr<codegen::Nvrtc> nvrtc;
    for (plan::ProgramOp program : module.getOps<plan::ProgramOp>()) {
      std::vector<plan::KernelOp> sources;
      for (plan::KernelOp kernel : program.getOps<plan::KernelOp>())
        if (kernel.getSource() && !kernel.getCubin())
          sources.push_back(kernel);
      if (sources.empty())
        continue;
      std::string reason;
      if (!nvrtc && !(nvrtc = codegen::Nvrtc::open(reason))) {
        module.emitWarning() << "no machine code in the plan, the runtime will compile its sources: " << reason;
        return;
      }
      if (failed(compile(*nvrtc, program, sources)))
        return signalPassFailure();
    }
  }

  /// The source with all that it includes.
  static std::string textOf(plan::KernelOp kernel) {
    std::string text;
    for (auto path : kernel.getIncludesAttr().getAsRange<StringAttr>())
      text += codegen::included(
          path.str(),
          SymbolTable::lookupNearestSymbolFrom<plan::SourceOp>(kernel->getParentOfType<ModuleOp>(), path).getText());
    return text + kernel.getSource()->str();
  }

private:
  LogicalResult compile(codegen::Nvrtc &nvrtc, plan::ProgramOp program, MutableArrayRef<plan::KernelOp> sources) {
    std::vector<codegen::CompileJob> jobs;
    for (plan::KernelOp kernel : sources)
      jobs.push_back({kernel.getSymName().str(), textOf(kernel)});
    codegen::Cache known = cache == "none" ? codegen::Cache::disabled() : codegen::Cache::open(cache.getValue());
    std::vector<std::vector<char>> cubins;
    size_t found = 0;
    try {
      cubins = codegen::compileAll(known, nvrtc, jobs, program.getSymName().str(), &found);
    } catch (const nanort::Error &error) {
      return program.emitError() << error.what();
    }
    // A driver takes the PTX of its own CUDA version and of earlier ones.
    if (const kernels::Target *target = kernels::findTarget(program.getSymName().str()); target && target->isPtx()) {
      int major = 0, minor = 0;
      std::sscanf(nvrtc.version().c_str(), "%d.%d", &major, &minor);
      program.setMinDriver(std::max<int64_t>(program.getMinDriver(), 1000 * major + 10 * minor));
    }
    LDBG() << program.getSymName() << ": " << jobs.size() << " kernels, " << found << " of them from "
           << known.directory().string();
    compiled += jobs.size() - found;
    cached += found;
    for (auto [kernel, cubin] : llvm::zip(sources, cubins)) {
      LDBG(2) << kernel.getSymName() << ": " << cubin.size() << " bytes";
      auto type = RankedTensorType::get({static_cast<int64_t>(cubin.size())},
                                        IntegerType::get(program.getContext(), 8, IntegerType::Unsigned));
      std::string name = (program.getSymName() + "." + kernel.getSymName()).str();
      kernel.setCubinAttr(cast<ElementsAttr>(DenseResourceElementsAttr::get(
          type, name, HeapAsmResourceBlob::allocateAndCopyInferAlign(ArrayRef<char>(cubin)))));
    }
    return success();
  }
};

} // namespace
