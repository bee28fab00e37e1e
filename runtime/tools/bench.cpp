// nanort bench: time to the first token and per token, on random prompts.
#include "codegen/Nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/measure/explain.h"
#include "runtime/tools/bench_runs.h"
#include "runtime/tools/common.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace nanort::tools {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  CommonOptions common;
  SamplingOptions sampling;
  std::string batches = "1", mode, format = "text";
  uint32_t prompt = 512, fresh = 128, repeat = 5;
  std::vector<std::string> compare; // further plans
  bool explain = false, fullEdges = false;
};

/// What is measured, in turns with the others: a plan in one mode.
struct Case {
  std::string name, mode;
  CommonOptions common;
  Loaded loaded;
  std::unique_ptr<Session> session;
};

/// Read bandwidth of devices where it was measured (an 8 GiB buffer), in bytes a second; 0 elsewhere.
double measuredBandwidth(const std::string &device) {
  return device.find("H100 80GB HBM3") != std::string::npos ? 3.12e12 : 0;
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

void checkFlags(const BenchOptions &options, const Loaded &loaded, const std::string &plan,
                const std::vector<uint32_t> &batches) {
  if (options.mode.starts_with("graph") && !loaded.device.cuda)
    fail(Exit::Usage,
         "--mode " + options.mode + " needs a CUDA device; the CPU runs launch by launch (--mode eager or fused)");
  if (options.explain && !loaded.device.cuda)
    fail(Exit::Usage, "--explain takes times of a GPU's launches and needs a CUDA device; leave it out on the CPU");
  std::string reason;
  if (options.explain && !codegen::Nvrtc::open(reason))
    fail(Exit::Device, "--explain compiles the kernels anew, with timers: install NVRTC (" + reason + ")");
  if (options.mode == "graph-full" && !generates(loaded.chosen()))
    fail(Exit::Usage, "--mode graph-full: program " + loaded.chosen().target()->str() + " of " + plan +
                          " has no generate entries; compile the model again with nanocc");
  std::string known;
  for (const schema::Entry *entry : *loaded.chosen().entries())
    if (entry->kind() == schema::EntryKind::Decode)
      known += (known.empty() ? "" : ", ") + std::to_string(entry->rows());
  for (uint32_t batch : batches)
    if (!decodeIndex(loaded.chosen(), batch))
      fail(Exit::Usage, "--batch " + std::to_string(batch) + ": program " + loaded.chosen().target()->str() + " of " +
                            plan + " decodes batches of " + (known.empty() ? "no size" : known) +
                            "; compile with nanocc --batch");
  const uint64_t positions = loaded.plan->root().model()->max_seq();
  if (uint64_t(options.prompt) + options.fresh > positions)
    fail(Exit::Usage, "--prompt " + std::to_string(options.prompt) + " and --new " + std::to_string(options.fresh) +
                          " do not fit the context of " + plan + ", " + std::to_string(positions) +
                          "; ask for less or compile with a larger --max-seq");
}

Workload workOf(const BenchOptions &options, uint32_t batch) {
  return {batch, options.prompt, options.fresh, options.sampling.withSeed(42)};
}

/// Decode steps, then prefills, launch by launch, achieved against predicted. Prints tables if `text`.
Json explain(const BenchOptions &options, CommonOptions common, Loaded &loaded, const std::vector<uint32_t> &batches,
             bool text) {
  common.graphs = common.times = true;
  Session session = openSession(common, loaded);
  const report::Program program = report::describe(*loaded.plan, loaded.program);
  Json explained = Json::array();
  auto add = [&](uint32_t index, uint32_t batch, const std::vector<std::vector<LaunchTime>> &runs) {
    const report::Entry &entry = program.entries[index];
    const Achieved times = achieved(runs);
    if (text)
      print(explainText(entry, times, runs.size()));
    explained.push_back(explainJson(entry, times));
    explained.back()["batch"] = batch;
  };
  for (uint32_t batch : batches) {
    const uint32_t index = *decodeIndex(loaded.chosen(), batch);
    add(index, batch, timeSteps(session, index, workOf(options, batch)));
  }
  for (uint32_t batch : batches) {
    const uint64_t tokens = uint64_t(batch) * options.prompt;
    if (std::optional<uint32_t> index = prefillIndex(loaded.chosen(), tokens))
      add(*index, batch, timePrefills(session, *index, workOf(options, batch), options.repeat));
    else
      log(common, "--explain: no prefill entry takes " + std::to_string(tokens) + " tokens at once, so none is timed");
  }
  return explained;
}

Case open(const BenchOptions &options, const std::string &plan, const std::vector<uint32_t> &batches, bool fullEdges) {
  Case c{plan, "", options.common, {}, nullptr};
  c.common.plan = plan;
  c.common.fullEdges = fullEdges;
  if (fullEdges)
    c.name += ", full edges";
  c.loaded = load(c.common);
  checkFlags(options, c.loaded, plan, batches);
  c.mode = modeOf(options, c.loaded);
  c.common.graphs = c.mode.starts_with("graph");
  if (fullEdges && !c.common.graphs)
    fail(Exit::Usage, "--full-edges: only the graphs of a CUDA device have edges; leave it out or use --mode graph");
  c.session = std::make_unique<Session>(openSession(c.common, c.loaded));
  return c;
}

Json resultJson(const Case &c, const Workload &work, const Summary &s, double mbu) {
  const schema::Entry &entry = *c.loaded.chosen().entries()->Get(*decodeIndex(c.loaded.chosen(), work.batch));
  const ExecutorStats &memory = c.session->stats();
  const uint64_t vram = memory.constants + memory.kv + memory.state + memory.arena + memory.workspace;
  return {{"batch", work.batch},
          {"prompt", work.prompt},
          {"new", work.fresh},
          {"ttft_ms", s.ttft},
          {"tpot_ms_mean", s.mean},
          {"tpot_ms_p50", s.p50},
          {"tpot_ms_p99", s.p99},
          {"decode_ms", s.decode},
          {"total_ms", s.total},
          {"tok_s", work.batch / s.mean * 1e3},
          {"mbu", mbu > 0 ? Json(mbu) : Json()},
          {"launches_per_step", entry.nodes()->size() + (c.mode == "graph-full" ? 1 : 0)}, // advance
          {"vram_bytes", c.loaded.device.cuda ? Json(vram) : Json()}};
}

void printLine(const Workload &work, const Summary &s, const Json &result, const std::string &beside) {
  char share[16] = "-", line[256];
  if (!result["mbu"].is_null())
    std::snprintf(share, sizeof share, "%.3f", result["mbu"].get<double>());
  std::snprintf(line, sizeof line, "%5u %9.3f %9.4f %9.4f %9.4f %9.1f %6s %9llu", work.batch, s.ttft, s.mean, s.p50,
                s.p99, result["tok_s"].get<double>(), share, result["launches_per_step"].get<unsigned long long>());
  print(line + beside + "\n");
  flushOutput();
}

void bench(const BenchOptions &options) {
  const std::vector<uint32_t> batches = parseBatches(options.batches);
  workOf(options, 1); // before anything is loaded
  std::vector<Case> cases;
  cases.push_back(open(options, options.common.plan, batches, false));
  if (options.fullEdges)
    cases.push_back(open(options, options.common.plan, batches, true));
  for (const std::string &plan : options.compare)
    cases.push_back(open(options, plan, batches, false));
  const std::string device = cases.front().session->executor().device();
  const double bandwidth = measuredBandwidth(device);
  const bool text = options.format == "text", several = cases.size() > 1;
  if (text)
    print(device + ", " + cases.front().mode + ", prompt " + std::to_string(options.prompt) + ", " +
          std::to_string(options.fresh) + " new tokens, " + samplingText(options.sampling) + ", median of " +
          std::to_string(options.repeat) + (several ? ", in turns" : "") + "\n" +
          "batch   ttft ms  ms/token       p50       p99     tok/s    mbu  launches" +
          (several ? "  ttft/1st    ms/1st  plan" : "") + "\n");
  Json results = Json::array();
  for (uint32_t batch : batches) {
    const Workload work = workOf(options, batch);
    detail(options.common, "batch " + std::to_string(batch));
    std::vector<std::vector<Times>> runs(cases.size());
    // Once more than asked for: the first makes graphs and warms caches up.
    for (uint32_t run = 0; run <= options.repeat; ++run)
      for (size_t i = 0; i < cases.size(); ++i) {
        Times times =
            cases[i].mode == "graph-full" ? runWhole(*cases[i].session, work) : runSteps(*cases[i].session, work);
        if (run > 0)
          runs[i].push_back(std::move(times));
      }
    const Summary reference = summaryOf(runs.front());
    for (size_t i = 0; i < cases.size(); ++i) {
      const schema::Program &program = cases[i].loaded.chosen();
      const Summary summary = summaryOf(runs[i]);
      const double bytes = bytesPerStep(program, *program.entries()->Get(*decodeIndex(program, batch)), work);
      Json result = resultJson(cases[i], work, summary, bandwidth > 0 ? bytes / (summary.mean * 1e-3) / bandwidth : 0);
      char ratios[48] = "";
      std::snprintf(ratios, sizeof ratios, "  %8.3f  %8.3f  ", summary.ttft / reference.ttft,
                    summary.mean / reference.mean);
      if (text)
        printLine(work, summary, result,
                  several ? ratios + cases[i].name + (cases[i].mode != cases.front().mode ? ", " + cases[i].mode : "")
                          : "");
      if (several) {
        result["plan"] = cases[i].name;
        result["mode"] = cases[i].mode;
      }
      results.push_back(std::move(result));
    }
  }
  Json report = {{"device", device},
                 {"mode", cases.front().mode},
                 {"repeat", options.repeat},
                 {"temperature", options.sampling.temperature},
                 {"top_k", options.sampling.topK},
                 {"results", results}};
  Case first = std::move(cases.front());
  cases.clear();
  first.session.reset(); // two would need twice the memory
  if (options.explain)
    report["explain"] = explain(options, first.common, first.loaded, batches, text);
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
  command
      ->add_option("--compare", options->compare,
                   "Another plan to measure in turns with this one, as what an optimisation is worth; may be repeated")
      ->type_name("PLAN")
      ->allow_extra_args(false);
  command->add_flag("--full-edges", options->fullEdges,
                    "Also measure this plan with full edges in place of programmatic ones");
  command->add_flag(
      "--explain", options->explain,
      "Also time every launch of a decode step and of a prefill, and compare with what the device could do "
      "(CUDA and NVRTC)");
  command->add_option("--format", options->format, "text, or json: the last line is one object")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->footer("Without stop tokens; random prompts, and draws where -t is not 0, from a fixed seed.\nExamples:\n"
                  "  nanort bench plan.fb --batch 1,8 --format json\n"
                  "  nanort bench plan.fb --explain -t 0.8 -k 50\n"
                  "  nanort bench plan.fb --full-edges --compare unfused.fb --batch 32\n"
                  "  nanort bench plan.fb --random-weights 1 --mode eager --prompt 64 --new 32");
  command->callback([options] { bench(*options); });
}

} // namespace nanort::tools
