// nanort bench: time to the first token and per token, on random prompts.
#include "codegen/Nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/session/generate.h"
#include "runtime/tools/common.h"
#include "runtime/tools/launches.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace nanort::tools {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

struct BenchOptions {
  CommonOptions common;
  SamplingOptions sampling;
  std::string batches = "1", mode, format = "text";
  uint32_t prompt = 512, fresh = 128, repeat = 5;
  bool explain = false;
};

/// Read bandwidth of devices where it was measured (an 8 GiB buffer), in bytes a second; 0 elsewhere.
double measuredBandwidth(const std::string &device) {
  return device.find("H100 80GB HBM3") != std::string::npos ? 3.12e12 : 0;
}

struct Result {
  uint32_t batch = 0;
  double ttft = 0, mean = 0, p50 = 0, p99 = 0, decode = 0, total = 0; // ms
  double bytesPerStep = 0;
  uint64_t launches = 0;
};

double milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

/// The smallest value that at least `share` of them do not exceed.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

std::string samplingText(const SamplingOptions &sampling) {
  if (sampling.temperature == 0)
    return "greedy";
  char text[64];
  std::snprintf(text, sizeof text, "temperature %g", sampling.temperature);
  return text + (sampling.topK > 0 ? ", top-k " + std::to_string(sampling.topK) : std::string());
}

std::vector<uint32_t> parseBatches(const std::string &text) {
  std::vector<uint32_t> batches;
  const char *p = text.data(), *end = p + text.size();
  while (true) {
    uint32_t batch = 0;
    auto [stop, error] = std::from_chars(p, end, batch);
    if (error != std::errc() || batch == 0 || (stop != end && *stop != ','))
      fail(Exit::Usage, "--batch " + quote(text) + ": pass numbers of rows such as 1,8");
    batches.push_back(batch);
    if (stop == end)
      return batches;
    p = stop + 1;
  }
}

std::optional<uint32_t> decodeIndex(const schema::Program &program, uint32_t batch) {
  for (uint32_t i = 0; i < program.entries()->size(); ++i)
    if (const schema::Entry &entry = *program.entries()->Get(i);
        entry.kind() == schema::EntryKind::Decode && entry.rows() == batch)
      return i;
  return std::nullopt;
}

bool generates(const schema::Program &program) {
  for (const schema::Entry *entry : *program.entries())
    if (entry->kind() == schema::EntryKind::Generate)
      return true;
  return false;
}

/// Whether the plan's decode entries have fewer launches than the model has operations.
bool isFused(const Loaded &loaded) {
  const Json report = Json::parse(loaded.plan->root().report()->str(), nullptr, false);
  auto programs = report.is_object() ? report.value("programs", Json::array({report})) : Json::array();
  for (const Json &program : programs)
    if (program.value("target", "") == loaded.chosen().target()->str() && program.contains("entries"))
      for (const Json &entry : program["entries"])
        if (entry["kind"] == "decode" && entry["plan"]["launches"] < entry["eager"]["launches"])
          return true;
  return false;
}

/// How a run goes: "graph-full", "graph", or launch by launch under the name of what the plan holds.
std::string modeOf(const BenchOptions &options, const Loaded &loaded) {
  const bool whole = options.mode == "graph-full" || (options.mode.empty() && generates(loaded.chosen()));
  if (loaded.device.cuda && options.mode != "eager" && options.mode != "fused")
    return whole ? "graph-full" : "graph";
  const std::string launches = isFused(loaded) ? "fused" : "eager";
  if (!options.mode.empty() && options.mode != launches)
    log(options.common, "--mode " + options.mode + ": the plan's launches are " + launches +
                            " ones; compile it with nanocc --fuse " + (launches == "fused" ? "none" : "all"));
  return launches;
}

void checkFlags(const BenchOptions &options, const Loaded &loaded, const std::vector<uint32_t> &batches) {
  if (options.mode.starts_with("graph") && !loaded.device.cuda)
    fail(Exit::Usage,
         "--mode " + options.mode + " needs a CUDA device; the CPU runs launch by launch (--mode eager or fused)");
  if (options.explain && !loaded.device.cuda)
    fail(Exit::Usage, "--explain takes times of a GPU's launches and needs a CUDA device; leave it out on the CPU");
  std::string reason;
  if (options.explain && !codegen::Nvrtc::open(reason))
    fail(Exit::Device, "--explain compiles the kernels anew, with timers: install NVRTC (" + reason + ")");
  if (options.mode == "graph-full" && !generates(loaded.chosen()))
    fail(Exit::Usage, "--mode graph-full: program " + loaded.chosen().target()->str() + " of " + options.common.plan +
                          " has no generate entries; compile the model again with nanocc");
  std::string known;
  for (const schema::Entry *entry : *loaded.chosen().entries())
    if (entry->kind() == schema::EntryKind::Decode)
      known += (known.empty() ? "" : ", ") + std::to_string(entry->rows());
  for (uint32_t batch : batches)
    if (!decodeIndex(loaded.chosen(), batch))
      fail(Exit::Usage, "--batch " + std::to_string(batch) + ": program " + loaded.chosen().target()->str() + " of " +
                            options.common.plan + " decodes batches of " + (known.empty() ? "no size" : known) +
                            "; compile with nanocc --batch");
  const uint64_t positions = loaded.plan->root().model()->max_seq();
  if (uint64_t(options.prompt) + options.fresh > positions)
    fail(Exit::Usage, "--prompt " + std::to_string(options.prompt) + " and --new " + std::to_string(options.fresh) +
                          " do not fit the plan's context of " + std::to_string(positions) +
                          "; ask for less or compile with a larger --max-seq");
}

/// Weights and KV that one decode step must read at least, on average over the steps of a run.
double bytesPerStep(const schema::Program &program, const schema::Entry &entry, const BenchOptions &options) {
  double bytes = 0;
  std::vector<bool> counted(program.buffers()->size());
  for (const schema::Node *node : *entry.nodes())
    for (const schema::Arg *arg : *node->args()) {
      if (arg->kind() != schema::ArgKind::Buffer || counted[arg->buffer()])
        continue;
      const schema::Buffer &buffer = *program.buffers()->Get(arg->buffer());
      const uint64_t elements = buffer.bytes() / kernels::sizeOf(dtypeOf(buffer));
      // A matrix is multiplied whole; of an embedding or a rotary table a step reads a few rows.
      if (buffer.space() == schema::Space::Constant && node->flops() >= 2 * elements) {
        bytes += static_cast<double>(buffer.bytes());
        counted[arg->buffer()] = true;
      } else if (buffer.space() == schema::Space::Kv && buffer.shape()->size() == 5) {
        // [rows, 2, kv heads, ring, head size]: a row reads what it has, at most the ring.
        const uint64_t ring = buffer.shape()->Get(3);
        const double position = static_cast<double>(buffer.bytes() / buffer.shape()->Get(0) / ring);
        double held = 0;
        for (uint32_t step = 1; step < options.fresh; ++step)
          held += static_cast<double>(std::min<uint64_t>(options.prompt + step, ring));
        bytes += position * held / (options.fresh - 1) * static_cast<double>(entry.rows());
        counted[arg->buffer()] = true;
      }
    }
  return bytes;
}

/// What one run took, in ms: to the first tokens, and each step after them.
struct Times {
  double ttft = 0;
  std::vector<double> steps;
};

/// The host feeds every token.
Times runSteps(Session &session, const std::vector<std::vector<int32_t>> &prompts, uint32_t fresh,
               const Sampling &sampling, const std::function<void()> &afterStep = {}) {
  session.reset();
  session.setSampling(sampling);
  std::vector<Session::Feed> feeds;
  for (uint32_t row = 0; row < prompts.size(); ++row)
    feeds.push_back({row, prompts[row]});
  const Clock::time_point start = Clock::now();
  std::vector<int32_t> next = session.prefill(feeds);
  Times times{milliseconds(start), {}};
  std::vector<Session::Token> tokens(prompts.size());
  for (uint32_t step = 1; step < fresh; ++step) {
    const Clock::time_point begin = Clock::now();
    for (uint32_t row = 0; row < prompts.size(); ++row)
      tokens[row] = {row, next[row]};
    next = session.decode(tokens);
    times.steps.push_back(milliseconds(begin));
    if (afterStep)
      afterStep();
  }
  return times;
}

/// One generate entry; a step is done when the host has seen the last row's token of it.
Times runWhole(Session &session, const std::vector<std::vector<int32_t>> &prompts, uint32_t fresh,
               const Sampling &sampling) {
  GenerateOptions how;
  how.maxNew = fresh;
  how.sampling = sampling;
  how.mode = GenerateMode::Graph;
  std::vector<uint32_t> taken(fresh); // rows whose n-th token has come
  std::vector<size_t> own(prompts.size());
  Times times;
  Clock::time_point begin = Clock::now();
  how.onToken = [&](size_t row, int32_t) {
    const size_t step = own[row]++;
    if (++taken[step] != prompts.size())
      return;
    (step == 0 ? times.ttft : times.steps.emplace_back()) = milliseconds(begin);
    begin = Clock::now();
  };
  generate(session, prompts, how);
  return times;
}

/// The same on every run, as are the prompts.
Sampling samplingOf(const BenchOptions &options) { return options.sampling.withSeed(42); }

std::vector<std::vector<int32_t>> promptsOf(const Session &session, uint32_t batch, uint32_t length) {
  std::mt19937_64 random(42);
  std::vector<std::vector<int32_t>> prompts(batch, std::vector<int32_t>(length));
  for (std::vector<int32_t> &prompt : prompts)
    for (int32_t &id : prompt)
      id = static_cast<int32_t>(random() % session.vocab());
  return prompts;
}

/// Decode steps on an executor that takes times; the first one makes the graph and warms caches up.
std::vector<std::vector<LaunchTime>> timeSteps(Session &session, uint32_t entry, uint32_t batch,
                                               const BenchOptions &options) {
  const std::vector<std::vector<int32_t>> prompts = promptsOf(session, batch, options.prompt);
  std::vector<std::vector<LaunchTime>> runs;
  runSteps(session, prompts, options.fresh, samplingOf(options),
           [&] { runs.push_back(session.executor().launchTimes(entry)); });
  if (runs.size() > 1)
    runs.erase(runs.begin());
  return runs;
}

Result measure(Session &session, const schema::Program &program, uint32_t batch, const BenchOptions &options,
               bool atOnce) {
  const std::vector<std::vector<int32_t>> prompts = promptsOf(session, batch, options.prompt);
  const Sampling sampling = samplingOf(options);
  std::vector<double> first, whole, means, steps;
  // Once more than asked for: the first makes graphs and warms caches up.
  for (uint32_t run = 0; run <= options.repeat; ++run) {
    const Times times = atOnce ? runWhole(session, prompts, options.fresh, sampling)
                               : runSteps(session, prompts, options.fresh, sampling);
    if (run == 0)
      continue;
    const double decode = std::accumulate(times.steps.begin(), times.steps.end(), 0.0);
    first.push_back(times.ttft);
    means.push_back(decode / static_cast<double>(times.steps.size()));
    whole.push_back(times.ttft + decode);
    steps.insert(steps.end(), times.steps.begin(), times.steps.end());
  }
  const schema::Entry &entry = *program.entries()->Get(*decodeIndex(program, batch));
  Result result;
  result.batch = batch;
  result.ttft = median(first);
  result.mean = median(means);
  result.p50 = quantile(steps, 0.5);
  result.p99 = quantile(steps, 0.99);
  result.decode = result.mean * (options.fresh - 1);
  result.total = median(whole);
  result.bytesPerStep = bytesPerStep(program, entry, options);
  result.launches = entry.nodes()->size() + (atOnce ? 1 : 0); // advance
  return result;
}

/// Decode steps launch by launch, achieved against predicted. Prints tables if `text`.
Json explain(const BenchOptions &options, CommonOptions common, Loaded &loaded, const std::vector<uint32_t> &batches,
             bool text) {
  common.graphs = common.times = true;
  Session session = openSession(common, loaded);
  Json explained = Json::array();
  for (uint32_t batch : batches) {
    const uint32_t index = *decodeIndex(loaded.chosen(), batch);
    const schema::Entry &entry = *loaded.chosen().entries()->Get(index);
    const std::vector<std::vector<LaunchTime>> runs = timeSteps(session, index, batch, options);
    const Achieved times = achieved(runs);
    if (text)
      print(explainText(loaded.chosen(), entry, times, runs.size()));
    explained.push_back(explainJson(loaded.chosen(), entry, times));
  }
  return explained;
}

void bench(const BenchOptions &options) {
  const std::vector<uint32_t> batches = parseBatches(options.batches);
  samplingOf(options); // before anything is loaded
  CommonOptions common = options.common;
  Loaded loaded = load(common);
  checkFlags(options, loaded, batches);
  const std::string mode = modeOf(options, loaded);
  common.graphs = mode.starts_with("graph");
  auto session = std::make_unique<Session>(openSession(common, loaded));
  const std::string device = session->executor().device();
  const double bandwidth = measuredBandwidth(device);
  const ExecutorStats &memory = session->stats();
  const uint64_t vram = memory.constants + memory.kv + memory.state + memory.arena + memory.workspace;

  const bool text = options.format == "text";
  char line[256];
  if (text)
    print(device + ", " + mode + ", prompt " + std::to_string(options.prompt) + ", " + std::to_string(options.fresh) +
          " new tokens, " + samplingText(options.sampling) + ", median of " + std::to_string(options.repeat) + "\n" +
          "batch   ttft ms  ms/token       p50       p99     tok/s    mbu  launches\n");
  Json results = Json::array();
  for (uint32_t batch : batches) {
    detail(common, "batch " + std::to_string(batch));
    const Result r = measure(*session, loaded.chosen(), batch, options, mode == "graph-full");
    const double rate = batch / r.mean * 1e3, mbu = bandwidth > 0 ? r.bytesPerStep / (r.mean * 1e-3) / bandwidth : 0;
    if (text) {
      char share[16] = "-";
      if (bandwidth > 0)
        std::snprintf(share, sizeof share, "%.3f", mbu);
      std::snprintf(line, sizeof line, "%5u %9.3f %9.4f %9.4f %9.4f %9.1f %6s %9llu\n", batch, r.ttft, r.mean, r.p50,
                    r.p99, rate, share, static_cast<unsigned long long>(r.launches));
      print(line);
      flushOutput();
    }
    results.push_back({{"batch", batch},
                       {"prompt", options.prompt},
                       {"new", options.fresh},
                       {"ttft_ms", r.ttft},
                       {"tpot_ms_mean", r.mean},
                       {"tpot_ms_p50", r.p50},
                       {"tpot_ms_p99", r.p99},
                       {"decode_ms", r.decode},
                       {"total_ms", r.total},
                       {"tok_s", rate},
                       {"mbu", bandwidth > 0 ? Json(mbu) : Json()},
                       {"launches_per_step", r.launches},
                       {"vram_bytes", loaded.device.cuda ? Json(vram) : Json()}});
  }
  Json report = {{"device", device},
                 {"mode", mode},
                 {"repeat", options.repeat},
                 {"temperature", options.sampling.temperature},
                 {"top_k", options.sampling.topK},
                 {"results", results}};
  session.reset(); // two would need twice the memory
  if (options.explain)
    report["explain"] = explain(options, common, loaded, batches, text);
  if (!text)
    print(report.dump() + "\n");
  flushOutput();
}

} // namespace

void addBench(CLI::App &app) {
  CLI::App *command = app.add_subcommand("bench", "Measure time to the first token and per token");
  auto options = std::make_shared<BenchOptions>();
  addCommon(*command, options->common);
  command->add_option("--batch", options->batches, "Rows at a time, one measurement each")
      ->type_name("B,...")
      ->capture_default_str();
  command->add_option("--prompt", options->prompt, "Random tokens in each row's prompt")
      ->type_name("N")
      ->check(CLI::Range(1u, 1u << 24))
      ->capture_default_str();
  command->add_option("--new", options->fresh, "Tokens to generate; the first comes from the prompt")
      ->type_name("N")
      ->check(CLI::Range(2u, 1u << 24))
      ->capture_default_str();
  command
      ->add_option(
          "--mode", options->mode,
          "graph-full: a request is one graph (default on CUDA if the plan can); graph: a chunk or step is one; "
          "eager, fused: launch by launch, whichever the plan was compiled for (nanocc --fuse none or all)")
      ->type_name("MODE")
      ->check(CLI::IsMember({"eager", "fused", "graph", "graph-full"}));
  command->add_option("--repeat", options->repeat, "Runs after one to warm up; medians are reported")
      ->type_name("N")
      ->check(CLI::Range(1u, 10000u))
      ->capture_default_str();
  addSampling(*command, options->sampling);
  command->add_flag("--explain", options->explain,
                    "Also time every launch of a decode step, and compare with what the device could do (CUDA and "
                    "NVRTC)");
  command->add_option("--format", options->format, "text, or json: the last line is one object")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->footer("Without stop tokens; random prompts, and draws where -t is not 0, from a fixed seed.\nExamples:\n"
                  "  nanort bench plan.fb --batch 1,8 --format json\n"
                  "  nanort bench plan.fb --explain -t 0.8 -k 50\n"
                  "  nanort bench plan.fb --random-weights 1 --mode eager --prompt 64 --new 32");
  command->callback([options] { bench(*options); });
}

} // namespace nanort::tools
