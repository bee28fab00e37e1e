// nanocc's flags as the options of a pass.
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOSETOPTIONS
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct NanoSetOptionsPass : nanocc::impl::NanoSetOptionsBase<NanoSetOptionsPass> {
  using NanoSetOptionsBase::NanoSetOptionsBase;

  void runOnOperation() override {
    FailureOr<OptionFlags> flags = given();
    if (failed(flags))
      return signalPassFailure();
    if (std::optional<OptionError> error = resolveOptions(getOperation(), *flags)) {
      getOperation().emitError() << error->message;
      signalPassFailure();
    }
  }

private:
  FailureOr<OptionFlags> given() {
    OptionFlags flags;
    if (!targets.empty())
      flags.targets.emplace(targets.begin(), targets.end());
    if (!batches.empty())
      flags.batches.emplace(batches.begin(), batches.end());
    if (!prefill.empty())
      flags.prefill.emplace(prefill.begin(), prefill.end());
    if (maxSeq != 0)
      flags.maxSeq = maxSeq;
    if (!precision.empty())
      flags.precision = precision;
    if (!fuse.empty())
      flags.fuse = fuse;
    if (!templates.empty())
      flags.templates.emplace(templates.begin(), templates.end());
    std::map<std::string, std::string> devices;
    for (const std::string &file : tuning) {
      if (!flags.tuning)
        flags.tuning.emplace();
      try {
        if (llvm::Error error = parseTuning(nanort::readText(file), *flags.tuning, devices))
          return getOperation().emitError() << file << ": " << llvm::toString(std::move(error));
      } catch (const nanort::Error &error) {
        return getOperation().emitError() << error.what();
      }
    }
    return flags;
  }
};

} // namespace
