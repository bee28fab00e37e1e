// mlir-opt with this project's dialects and passes.
#include "compiler/passes/Passes.h"
#include "runtime/base/version.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"

int main(int argc, char **argv) {
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &stream) {
    stream << "nanocc-opt " << nanort::versionText() << ", LLVM " LLVM_VERSION_STRING "\n";
  });
  mlir::DialectRegistry registry;
  registry.insert<nanocc::nano::NanoDialect, nanocc::kern::KernDialect, nanocc::plan::PlanDialect,
                  mlir::func::FuncDialect>();
  nanocc::registerNanoccPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "nanocc pass driver\n", registry));
}
