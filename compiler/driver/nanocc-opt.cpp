// mlir-opt with this project's dialects, passes and pipelines.
#include "compiler/driver/Inspection.h"
#include "compiler/passes/Passes.h"
#include "compiler/pipeline/Pipelines.h"
#include "runtime/base/error.h"
#include "runtime/base/outputs.h"
#include "runtime/base/process.h"
#include "runtime/base/version.h"

#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

int main(int argc, char **argv) {
  nanort::prepareProcess("nanocc-opt");
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &stream) {
    stream << "nanocc-opt " << nanort::versionText() << ", LLVM " LLVM_VERSION_STRING "\n";
  });
  DialectRegistry registry;
  registry.insert<nanocc::nano::NanoDialect, nanocc::kern::KernDialect, nanocc::plan::PlanDialect, func::FuncDialect>();
  nanocc::registerNanoccPasses();
  nanocc::registerPipelines();
  auto [inputName, outputName] = registerAndParseCLIOptions(argc, argv, "nanocc pass driver\n", registry);
  const MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return asMainReturnCode(MlirOptMain(argc, argv, inputName, outputName, registry));

  // Not by way of that function otherwise: LLVM is shut down, and the statistics with it, when it returns.
  llvm::InitLLVM init(argc, argv);
  std::string reason;
  try {
    nanort::checkOutputs({{"the input", inputName}}, {{"-o", outputName}});
  } catch (const nanort::Error &error) {
    llvm::errs() << "nanocc-opt: " << error.what() << "\n";
    return static_cast<int>(error.code);
  }
  std::unique_ptr<llvm::MemoryBuffer> input = openInputFile(inputName, &reason);
  std::unique_ptr<llvm::ToolOutputFile> output = input ? openOutputFile(outputName, &reason) : nullptr;
  if (!output) {
    llvm::errs() << reason << "\n";
    return asMainReturnCode(failure());
  }
  const LogicalResult result = MlirOptMain(output->os(), std::move(input), registry, config);
  if (succeeded(result))
    output->keep();
  output->os().flush(); // the module comes before what is said of it, where both go to one place
  nanocc::printStatistics();
  return asMainReturnCode(result);
}
