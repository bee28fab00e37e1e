// The decisions a user takes, as a module attribute: `nano.options`. Once set they travel with the module, so that a
// compilation resumed from an emitted stage takes the same ones.
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nanocc {

struct Options {
  std::vector<std::string> targets; // "cpu", "sm_90a", ...; in the order of the plan's programs
  std::vector<int64_t> batches;     // ascending
  std::vector<int64_t> prefill;     // token buckets, ascending
  int64_t maxSeq = 0;
  std::string precision; // "f32", "bf16"
  std::string fuse;      // "none", "all"

  int64_t rows() const { return batches.back(); } // sequences a session can hold
  bool operator==(const Options &) const = default;
};

/// What was said on the command line; absent means the default.
struct OptionFlags {
  std::optional<std::vector<std::string>> targets;
  std::optional<std::vector<int64_t>> batches, prefill;
  std::optional<int64_t> maxSeq;
  std::optional<std::string> precision, fuse;
};

/// A refusal with the exit code of the command-line contract.
struct OptionError {
  int exitCode;
  std::string message;
};

/// Gives `module` its options: from its attribute if it has one (then a flag that says otherwise is an error), else
/// from the flags and the model's defaults.
std::optional<OptionError> resolveOptions(mlir::ModuleOp module, const OptionFlags &flags);

/// Reads `nano.options`; emits an error on the module if it is missing or malformed.
mlir::FailureOr<Options> getOptions(mlir::ModuleOp module);

/// An integer fact of `nano.model`, e.g. "sequence_len"; the dialect's verifier vouches for it.
int64_t modelFact(mlir::ModuleOp module, llvm::StringRef key);

} // namespace nanocc
