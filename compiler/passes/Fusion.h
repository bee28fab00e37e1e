// What the fusion passes share: nano.options can leave one out, and each counts the launches that it saves.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/Statistic.h"

#include <string>

namespace nanocc {

/// Lives as long as a fusion pass works on a module.
class FusionScope {
public:
  /// `fusion` as Options::fuse names it.
  FusionScope(mlir::ModuleOp module, llvm::StringRef fusion, llvm::TrackingStatistic &merged);
  /// Adds the launches that are no more to the statistic.
  ~FusionScope();
  FusionScope(const FusionScope &) = delete;
  FusionScope &operator=(const FusionScope &) = delete;

  /// False if the module has options that leave this fusion out.
  explicit operator bool() const { return wanted; }

private:
  mlir::ModuleOp module;
  llvm::TrackingStatistic &merged;
  bool wanted;
  int64_t before;
};

/// "sm_90a decode_1: kern.mix at model.mlir:12", for what a fusion pass says with --debug-only.
std::string placeOf(mlir::Operation *launch);

} // namespace nanocc
