#include "runtime/tools/common.h"

#include "runtime/base/error.h"
#include "runtime/base/safetensors.h"
#include "runtime/base/text.h"
#include "runtime/executor/host_math.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <unistd.h>

namespace nanort::tools {

std::string notNegative(const std::string &text) { return text.starts_with('-') ? quote(text) + " is negative" : ""; }

void addDevice(CLI::App &command, CommonOptions &options) {
  command.add_option("plan", options.plan, "Plan that nanocc wrote (plan.fb)")->required()->type_name("PLAN");
  command.add_option("--device", options.device, "auto (CUDA if the driver reports a device), cuda, cuda:N or cpu")
      ->type_name("DEVICE")
      ->capture_default_str();
  command.add_option("--program", options.program, "Program of the plan by its target, e.g. sm_90a")->type_name("NAME");
  command
      .add_option("--cache-dir", options.cacheDir,
                  "Folder for compiled kernels (default: $NANORT_CACHE_DIR, ~/.cache/nanocc)")
      ->type_name("DIR");
  command.add_flag("--no-cache", options.noCache, "Keep no compiled kernels on disk");
  auto *verbose = command.add_flag("-v,--verbose", options.verbose, "Say what is chosen and how long it takes");
  command.add_flag("-q,--quiet", options.quiet, "No logs")->excludes(verbose);
}

void addCommon(CLI::App &command, CommonOptions &options) {
  addDevice(command, options);
  auto *weights =
      command.add_option("--weights", options.weights, "Weights file instead of the plan's")->type_name("FILE");
  command.add_option("--tokenizer", options.tokenizer, "tokenizer.json instead of the plan's")->type_name("FILE");
  auto *random = command
                     .add_option("--random-weights", options.randomWeights,
                                 "Random weights instead of a file; the same on every device")
                     ->type_name("SEED")
                     ->check(notNegative)
                     ->excludes(weights);
  command.add_option("--save-weights", options.saveWeights, "Write the random weights to a safetensors file")
      ->type_name("FILE")
      ->needs(random);
  command.add_option("--threads", options.threads, "CPU threads (default: all cores)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
}

void addSampling(CLI::App &command, SamplingOptions &options) {
  command.add_option("-t,--temperature", options.temperature, "Temperature; 0 takes the most likely token")
      ->type_name("T")
      ->capture_default_str();
  command.add_option("-k,--top-k", options.topK, "Sample from the K most likely tokens; 0: from all")
      ->type_name("K")
      ->capture_default_str();
}

Sampling SamplingOptions::withSeed(uint64_t seed) const {
  if (!(temperature >= 0) || temperature > std::numeric_limits<float>::max())
    fail(Exit::Usage, "-t " + std::to_string(temperature) + ": the temperature is 0 or more");
  return {static_cast<float>(temperature), topK, seed};
}

void log(const CommonOptions &options, const std::string &line) {
  if (!options.quiet)
    std::fprintf(stderr, "%s\n", line.c_str());
}

void detail(const CommonOptions &options, const std::string &line) {
  if (options.verbose)
    log(options, line);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    fail(Exit::Input, std::string("standard output cannot be written: ") + std::strerror(errno));
}

void flushOutput() {
  if (std::fflush(stdout) != 0)
    fail(Exit::Input, std::string("standard output cannot be written: ") + std::strerror(errno));
}

Weights openWeights(const CommonOptions &options, const std::shared_ptr<const Plan> &plan) {
  if (options.randomWeights)
    return Weights::random(plan, *options.randomWeights);
  return Weights::fromFile(plan, options.weights.empty() ? weightsPath(*plan) : std::filesystem::path(options.weights));
}

static double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// Milliseconds since this process began, to a clock tick (10 ms), by /proc/self/stat (proc(5), field 22).
static double processAge() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1))); // the name may hold spaces
  std::string field;
  for (int i = 3; i <= 22; ++i)
    fields >> field;
  timespec now = {};
  if (!fields || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
    return 0;
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec) -
         1e3 * std::strtod(field.c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::vector<NamedPath> inputsOf(const CommonOptions &options, const Plan &plan) {
  return {{"the plan", options.plan},
          {"the plan's weights", weightsPath(plan)},
          {"the plan's tokenizer", tokenizerPath(plan)},
          {"--weights", options.weights},
          {"--tokenizer", options.tokenizer}};
}

std::vector<NamedPath> fileOfIds(const std::string &text, const std::string &flag) {
  if (!text.starts_with('@'))
    return {};
  return {{flag, text.substr(1, text.rfind(':') - 1)}};
}

Loaded load(const CommonOptions &options, const std::vector<NamedPath> &moreInputs,
            const std::vector<NamedPath> &moreOutputs) {
  const auto start = std::chrono::steady_clock::now();
  Loaded loaded;
  loaded.processMs = std::max(0.0, processAge());
  loaded.plan = Plan::open(options.plan);
  std::vector<NamedPath> inputs = inputsOf(options, *loaded.plan), outputs = {{"--save-weights", options.saveWeights}};
  inputs.insert(inputs.end(), moreInputs.begin(), moreInputs.end());
  outputs.insert(outputs.end(), moreOutputs.begin(), moreOutputs.end());
  checkOutputs(inputs, outputs);
  loaded.device = chooseDevice(options.device);
  loaded.program = chooseProgram(*loaded.plan, loaded.device, options.program);
  detail(options, "program " + loaded.chosen().target()->str() + " on " +
                      (loaded.device.cuda ? "cuda:" + std::to_string(loaded.device.index) : std::string("cpu")));
  loaded.weights = openWeights(options, loaded.plan);
  loaded.openMs = loaded.loadMs = since(start);
  if (!options.saveWeights.empty())
    loaded.weights->save(options.saveWeights, *makeHostMath(options.threads));
  return loaded;
}

Session openSession(const CommonOptions &options, Loaded &loaded) {
  const auto start = std::chrono::steady_clock::now();
  Session session(loaded.plan, loaded.program,
                  makeExecutor(loaded.plan, loaded.program, *loaded.weights, loaded.device,
                               {options.threads, options.cacheDir, options.noCache, options.graphs, options.times,
                                options.fullEdges}));
  loaded.loadMs += since(start);
  detail(options,
         "loaded in " + std::to_string(static_cast<int64_t>(loaded.loadMs)) + " ms on " + session.executor().device());
  for (const std::string &note : session.stats().notes)
    detail(options, note);
  return session;
}

std::optional<Tokenizer> openTokenizer(const CommonOptions &options, const Plan &plan) {
  const std::filesystem::path path =
      options.tokenizer.empty() ? tokenizerPath(plan) : std::filesystem::path(options.tokenizer);
  if (path.empty())
    return std::nullopt;
  Tokenizer tokenizer = Tokenizer::open(path);
  if (tokenizer.vocabSize() > plan.root().model()->vocab())
    fail(Exit::Input, path.string() + ": ids up to " + std::to_string(tokenizer.vocabSize() - 1) +
                          ", the model's vocabulary is " + std::to_string(plan.root().model()->vocab()) +
                          "; pass the tokenizer this model was trained with");
  return tokenizer;
}

static int32_t checkedId(int64_t id, const std::string &place) {
  if (id < 0 || id > INT32_MAX)
    fail(Exit::Input, place + ": token id " + std::to_string(id) + " is outside any vocabulary");
  return static_cast<int32_t>(id);
}

std::vector<std::vector<int32_t>> readIds(const std::string &fileAndKey, const std::string &flag, bool padded) {
  const size_t colon = fileAndKey.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == fileAndKey.size())
    fail(Exit::Usage, flag + " " + quote(fileAndKey) + ": pass FILE.safetensors:KEY");
  const std::string path = fileAndKey.substr(0, colon), key = fileAndKey.substr(colon + 1);
  const Safetensors file = Safetensors::open(path);
  const Tensor &tensor = file.at(key);
  const std::string place = path + ": tensor " + quote(key);
  if (tensor.dtype != "I32" && tensor.dtype != "I64")
    fail(Exit::Input, place + " has the dtype " + tensor.dtype + "; ids are I32 or I64");
  if (tensor.shape.empty() || tensor.shape.size() > 2)
    fail(Exit::Input, place + " has the shape " + shapeText(tensor.shape) + "; ids are [T] or [rows, T]");
  const uint64_t rows = tensor.shape.size() == 2 ? tensor.shape[0] : 1, length = tensor.shape.back();
  if (rows == 0 || length == 0)
    fail(Exit::Input, place + " has the shape " + shapeText(tensor.shape) + "; it holds no ids");
  const size_t size = tensor.dtype == "I32" ? 4 : 8;
  std::vector<std::vector<int32_t>> result(rows);
  for (uint64_t r = 0; r < rows; ++r) {
    bool ended = false;
    for (uint64_t i = 0; i < length; ++i) {
      const std::byte *at = tensor.data.data() + (r * length + i) * size;
      int64_t wide = 0;
      int32_t narrow = 0;
      if (size == 4) {
        std::memcpy(&narrow, at, 4);
        wide = narrow;
      } else {
        std::memcpy(&wide, at, 8);
      }
      if (wide == -1 && !(padded && i > 0))
        fail(Exit::Input,
             place + " has -1 in row " + std::to_string(r) +
                 (padded ? "; a prompt needs an id before its padding" : "; rows must be of equal length here"));
      ended |= wide == -1;
      if (!ended)
        result[r].push_back(checkedId(wide, place));
      else if (wide != -1)
        fail(Exit::Input,
             place + " has an id behind padding (-1) in row " + std::to_string(r) + "; pad rows at their ends");
    }
  }
  return result;
}

std::vector<std::vector<int32_t>> parseIds(const std::string &text, const std::string &flag) {
  if (text.starts_with('@'))
    return readIds(text.substr(1), flag, true);
  std::vector<int32_t> ids;
  const char *p = text.data(), *end = p + text.size();
  for (bool more = true; more;) {
    while (p != end && *p == ' ')
      ++p;
    int64_t id = 0;
    auto [stop, error] = std::from_chars(p, end, id);
    while (error == std::errc() && stop != end && *stop == ' ')
      ++stop;
    if (error == std::errc::result_out_of_range)
      fail(Exit::Input, flag + ": a token id of " + quote(text) + " is outside any vocabulary");
    if (error != std::errc() || (stop != end && *stop != ','))
      fail(Exit::Usage, flag + " " + quote(text) + ": pass ids such as 1,2,3 or @FILE.safetensors:KEY");
    ids.push_back(checkedId(id, flag));
    more = stop != end;
    p = stop + (more ? 1 : 0);
  }
  return {ids};
}

std::string bytesText(uint64_t bytes) {
  static const char *units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit < 4; ++unit)
    value /= 1024;
  if (unit == 0)
    return std::to_string(bytes) + " bytes";
  char text[96];
  std::snprintf(text, sizeof text, "%.1f %s (%llu bytes)", value, units[unit], static_cast<unsigned long long>(bytes));
  return text;
}

} // namespace nanort::tools
