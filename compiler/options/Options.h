// The decisions a user takes, as a module attribute: `nano.options`. Once set they travel with the module, so that a
// compilation resumed from an emitted stage takes the same ones.
#pragma once

#include "codegen/Choices.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nanocc {

/// Measured microseconds by target, then by "PROBLEM by CHOICE" (codegen::Problem::text(), codegen::Choice::text()).
using Tuning = std::map<std::string, std::map<std::string, double>>;

/// Whether that can be a measured time.
bool isTime(double us);

/// One file of `nanort tune`: {"format": 2, "target": .., "times": [{"problem", "choice", "us"}, ..]}, and facts of the
/// machine. Adds to `tuning`, and to `devices` what was measured for a target: times of two devices do not compare, so
/// a second one is an error. Errors name the fault, not the file.
llvm::Error parseTuning(llvm::StringRef json, Tuning &tuning, std::map<std::string, std::string> &devices);

/// `--template PATTERN=ENGINE[,PARAMETER=INTEGER]...`: products whose ENTRY/WEIGHT and attentions whose ENTRY/RING
/// matches the glob pattern are served so.
struct Override {
  std::string pattern;
  codegen::Choice choice;
};
llvm::Expected<Override> parseOverride(llvm::StringRef text);

struct Options {
  std::vector<std::string> targets; // "cpu", "sm_90a", ...; in the order of the plan's programs
  std::vector<int64_t> batches;     // ascending
  std::vector<int64_t> prefill;     // token buckets, ascending
  int64_t maxSeq = 0;
  std::string precision;              // one of nanort::precisions
  std::string fuse;                   // "none", "all", or some of the fusions as "embed,norm"
  std::vector<std::string> templates; // overrides as they were given
  Tuning tuning;

  /// Microseconds of a choice for a problem, if the tuning has it. A parameter that its time does not name is one that
  /// the engine has got since.
  std::optional<double> measured(const std::string &target, const codegen::Problem &problem,
                                 const codegen::Choice &choice) const;
  /// The shortest of a plain product by cuBLASLt, and of which algorithm of which version.
  struct Library {
    double us;
    std::string version;
    int64_t algorithm;
  };
  std::optional<Library> measuredLibrary(const std::string &target, const codegen::Problem &problem) const;
  int64_t rows() const { return batches.back(); } // sequences a session can hold
  bool operator==(const Options &) const = default;
};

/// What was said on the command line; absent means the default.
struct OptionFlags {
  std::optional<std::vector<std::string>> targets;
  std::optional<std::vector<int64_t>> batches, prefill;
  std::optional<int64_t> maxSeq;
  std::optional<std::string> precision, fuse;
  std::optional<std::vector<std::string>> templates;
  std::optional<Tuning> tuning;
};

/// Whether Options::fuse includes the fusion: attention, embed, norm, activation or residual.
bool fuses(llvm::StringRef fuse, llvm::StringRef fusion);

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
