// What the commands of nanort share: flags, and from flags to plan, weights, tokenizer and executor.
#pragma once

#include "runtime/base/outputs.h"
#include "runtime/session/device.h"
#include "runtime/session/session.h"
#include "runtime/tokenizer/tokenizer.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nanort::tools {

struct CommonOptions {
  std::string plan, device = "auto", program, weights, tokenizer, saveWeights, cacheDir;
  std::optional<uint64_t> randomWeights;
  int threads = 0;
  bool noCache = false, verbose = false, quiet = false;
  bool graphs = true, times = false, fullEdges = false; // not flags of every command: see ExecutorOptions
};

struct SamplingOptions {
  double temperature = 0;
  int32_t topK = 0;

  /// Errors: Exit::Usage for a temperature that is none.
  Sampling withSeed(uint64_t seed) const;
};

/// For unsigned flags: CLI11 would wrap a negative number around.
std::string notNegative(const std::string &text);

/// Declares PLAN on a command, and the flags of CommonOptions about the device, its kernels and what is said.
void addDevice(CLI::App &command, CommonOptions &options);
/// All flags of CommonOptions: for what may load weights too.
void addCommon(CLI::App &command, CommonOptions &options);
/// Declares -t and -k.
void addSampling(CLI::App &command, SamplingOptions &options);

/// A line on standard error, unless --quiet.
void log(const CommonOptions &options, const std::string &line);
/// The same only with --verbose.
void detail(const CommonOptions &options, const std::string &line);

/// Standard output; Exit::Input if it cannot be written.
void print(std::string_view text);
void flushOutput();

/// A plan with everything it takes to run it.
struct Loaded {
  std::shared_ptr<const Plan> plan;
  DeviceChoice device;
  uint32_t program = 0;
  std::optional<Weights> weights;
  double processMs = 0; // of the process, when load() began; 0 where the system does not say
  double openMs = 0;    // driver, plan and weights
  double loadMs = 0;    // these and the executor

  const schema::Program &chosen() const { return plan->program(program); }
};

Weights openWeights(const CommonOptions &options, const std::shared_ptr<const Plan> &plan);
/// The plan, and what it or the flags name: none of a command's outputs may replace them (base/outputs.h).
std::vector<NamedPath> inputsOf(const CommonOptions &options, const Plan &plan);
/// Plan, device, program and weights; no executor yet. Writes --save-weights, after a look at all outputs of the
/// command, `outputs` among them, and at what it reads besides.
Loaded load(const CommonOptions &options, const std::vector<NamedPath> &inputs = {},
            const std::vector<NamedPath> &outputs = {});
/// Makes the executor. Adds to `loaded.loadMs`.
Session openSession(const CommonOptions &options, Loaded &loaded);

/// The tokenizer of --tokenizer or the plan; nullopt if neither names one.
std::optional<Tokenizer> openTokenizer(const CommonOptions &options, const Plan &plan);

/// Rows of ids: "1,2,3", or "@FILE.safetensors:KEY" (I32 or I64, [T] or [rows, T], shorter rows padded with -1).
std::vector<std::vector<int32_t>> parseIds(const std::string &text, const std::string &flag);
/// The file of the form with '@'; none of the other.
std::vector<NamedPath> fileOfIds(const std::string &text, const std::string &flag);
/// The file form without '@'; `padded`: shorter rows may end in -1.
std::vector<std::vector<int32_t>> readIds(const std::string &fileAndKey, const std::string &flag, bool padded);

/// "1.5 GiB (1610612736 bytes)"
std::string bytesText(uint64_t bytes);

} // namespace nanort::tools
