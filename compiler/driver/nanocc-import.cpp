// nanocc-import: a nanochat checkpoint becomes model.mlir, model.safetensors and tokenizer.json.
#include "compiler/import/Import.h"
#include "runtime/base/error.h"
#include "runtime/base/process.h"
#include "runtime/base/text.h"
#include "runtime/base/version.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <unistd.h>

using nanort::Exit;

namespace {

constexpr const char *usageText =
    R"(Usage: nanocc-import CHECKPOINT_DIR -o OUT_DIR [options]
       nanocc-import --preset d4|d12|d20|d24|d26|d32|d34 [--generation G] -o OUT_DIR

Turns a nanochat checkpoint into the compiler's input.)";

constexpr const char *detailsText = R"(
CHECKPOINT_DIR holds either upstream's files (model_N.pt, meta_N.json, tokenizer.pkl) or Hugging Face's (config.json,
model.safetensors or its shards, tokenizer.json). Pickles are read as plain data; nothing in them is executed.

OUT_DIR, made if it is missing, gets model.mlir (the model), model.safetensors (upstream's tensor names; matrices in bf16,
vectors in f32) and tokenizer.json. With --preset it gets model.mlir alone.

A checkpoint does not record which version of nanochat trained it. The generation (A: October 2025 ... E: since March 14,
2026) is told from its tensors; where a training run deviated, the flags from --generation on say how.

Examples:
  nanocc-import ~/.cache/nanochat/chatsft_checkpoints/d24 -o d24
      The newest step; the tokenizer is found at ~/.cache/nanochat/tokenizer.
  nanocc-import d26 -o out --step 8500 --softcap 20
      A generation C model of March 2-8, 2026.
  nanocc-import --preset d12 -o d12
      A model without weights, for `nanort ... --random-weights SEED`.

Exit codes: 0 done, 2 bad flags, 3 damaged or inconsistent input or output not writable, 4 not a model served here.
)";

/// Progress on standard error, redrawn in place; only for a person looking on.
class ProgressBar {
public:
  explicit ProgressBar(bool shown) : shown(shown && isatty(STDERR_FILENO)) {}
  ~ProgressBar() { clear(); }
  void update(uint64_t done, uint64_t total) {
    const int now = static_cast<int>(static_cast<double>(done) / static_cast<double>(total) * 100);
    if (!shown || now == percent)
      return;
    percent = now;
    std::fprintf(stderr, "\rweights %3d%%", percent);
  }
  void clear() {
    if (shown && percent >= 0)
      std::fprintf(stderr, "\r\033[K");
    percent = -1;
  }

private:
  bool shown;
  int percent = -1;
};

/// usageText says the usage.
struct Formatter : CLI::Formatter {
  Formatter() { column_width(28); }
  std::string make_usage(const CLI::App *, std::string) const override { return ""; }
  std::string make_option_opts(const CLI::Option *option) const override {
    const std::string text = CLI::Formatter::make_option_opts(option);
    return text.substr(0, text.find(" Excludes:"));
  }
};

/// CLI11 would wrap a negative number around.
std::string wholeNumber(const std::string &text) {
  return text.find_first_not_of("0123456789") == std::string::npos ? ""
                                                                   : nanort::quote(text) + " is not a whole number";
}

int report(const std::string &message, Exit code) {
  std::fprintf(stderr, "nanocc-import: %s\n", message.c_str());
  return static_cast<int>(code);
}

int run(const nanocc::ImportOptions &given, bool quiet) {
  nanocc::ImportOptions options = given;
  ProgressBar bar(!quiet);
  if (!quiet)
    options.log = [](const std::string &line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  options.progress = [&](uint64_t done, uint64_t total) { bar.update(done, total); };
  options.emit = nanocc::emitModel;
  try {
    nanocc::importModel(options);
    return static_cast<int>(Exit::Ok);
  } catch (const nanort::Error &error) {
    bar.clear();
    return report(error.what(), error.code);
  } catch (const std::bad_alloc &) {
    bar.clear();
    return report("out of memory", Exit::Memory);
  } catch (const std::filesystem::filesystem_error &error) {
    bar.clear();
    return report("cannot use " + nanort::quote(error.path1().native()) + ": " + error.code().message(), Exit::Input);
  } catch (const std::exception &error) {
    bar.clear();
    return report(std::string("internal error: ") + error.what(), Exit::Internal);
  }
}

} // namespace

/// Help and version are results too.
static int printed(const std::string &text) {
  if (std::cout << text << std::flush)
    return static_cast<int>(Exit::Ok);
  return report(std::string("standard output cannot be written: ") + std::strerror(errno), Exit::Input);
}

int main(int argc, char **argv) {
  nanort::prepareProcess("nanocc-import");
  nanocc::ImportOptions options;
  nanocc::Overrides &overrides = options.overrides;
  std::string preset, generation;
  bool quiet = false;

  CLI::App app(usageText, "nanocc-import");
  app.formatter(std::make_shared<Formatter>());
  app.set_help_flag("-h", "This overview");
  app.set_help_all_flag("--help", "All of it, with examples");
  app.set_version_flag("--version", "nanocc-import " + nanort::versionText());
  auto *checkpoint = app.add_option("CHECKPOINT_DIR", options.checkpoint, "Directory of the checkpoint");
  app.add_option("-o", options.output, "Directory to write")->required();
  auto *presetFlag = app.add_option("--preset", preset, "A model of upstream's dimensions instead of a checkpoint")
                         ->check(CLI::IsMember({"d4", "d12", "d20", "d24", "d26", "d32", "d34"}));
  auto *step = app.add_option("--step", options.step, "Training step (default: the newest)")->check(wholeNumber);
  auto *tokenizer = app.add_option("--tokenizer", options.tokenizer, "tokenizer.pkl or tokenizer.json to use");
  auto *keep = app.add_flag("--keep-dtype", options.keepDtype, "Keep each tensor's dtype");
  auto *extra = app.add_flag("--ignore-extra", options.ignoreExtra, "Leave out tensors the model does not have");
  app.add_option("--generation", generation, "A, B, C, D or E (default: by the tensors; preset: E)")
      ->check(CLI::IsMember({"A", "B", "C", "D", "E"}));
  app.add_option("--softcap", overrides.softcap, "Bound of the logits (15; 0: none)");
  app.add_option("--rope-base", overrides.ropeBase, "Rotary base (A-C: 10000, D-E: 100000)");
  app.add_option("--qk-mult", overrides.qkMult, "Factor on normalised q and k (D: 1.15, E: 1.2)");
  app.add_option("--gate-scale", overrides.gateScale, "Range of the value-embedding gate (C: 2, D-E: 3)");
  app.add_option("--window-pattern", overrides.windowPattern, "Windows by layer, letters S and L");
  app.add_option("--short-window", overrides.shortWindow, "Positions before its own that an S layer sees")
      ->check(wholeNumber);
  app.add_flag("-q", quiet, "Print errors only");
  checkpoint->excludes(presetFlag);
  for (CLI::Option *flag : {step, tokenizer, keep, extra})
    flag->excludes(presetFlag);

  try {
    app.parse(argc, argv);
    if (checkpoint->empty() && presetFlag->empty())
      throw CLI::RequiredError("CHECKPOINT_DIR or --preset");
  } catch (const CLI::CallForHelp &) {
    return printed(app.help());
  } catch (const CLI::CallForAllHelp &) {
    return printed(app.help() + detailsText);
  } catch (const CLI::CallForVersion &version) {
    return printed(version.what() + std::string("\n"));
  } catch (const CLI::ParseError &error) {
    std::string message = error.what();
    for (char &character : message)
      character = character == '\n' ? ' ' : character;
    return report(message + " (nanocc-import -h lists the flags)", Exit::Usage);
  }
  if (!preset.empty())
    options.preset = static_cast<uint32_t>(std::stoul(preset.substr(1)));
  if (!generation.empty())
    overrides.generation = generation[0];
  return run(options, quiet);
}
