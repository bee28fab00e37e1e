// mlir-opt with this project's dialects and passes.
#include "compiler/passes/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<nanocc::nano::NanoDialect, nanocc::kern::KernDialect, nanocc::plan::PlanDialect,
                  mlir::func::FuncDialect>();
  nanocc::registerNanoccPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "nanocc pass driver\n", registry));
}
