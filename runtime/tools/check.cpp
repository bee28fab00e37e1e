// nanort check: whether a plan is sound, its weights belong to it, and it fits.
#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/session/compare.h"
#include "runtime/session/memory.h"
#include "runtime/session/tour.h"
#include "runtime/tools/common.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace nanort::tools {
namespace {

struct CheckOptions {
  CommonOptions common;
  std::optional<uint64_t> batch, context, memory;
  std::string against;
};

uint64_t largestBatch(const schema::Program &program) {
  uint64_t batch = 0;
  for (const schema::Entry *entry : *program.entries())
    if (entry->kind() == schema::EntryKind::Decode)
      batch = std::max(batch, entry->rows());
  return batch;
}

void checkShape(const CheckOptions &options, const Plan &plan, const schema::Program &program) {
  const uint64_t batch = largestBatch(program);
  const std::string file = plan.path().string() + ": program " + program.target()->str();
  if (options.batch && *options.batch > batch)
    fail(Exit::Usage, file + " serves batches up to " + std::to_string(batch) + "; compile with nanocc --batch " +
                          std::to_string(*options.batch));
  const uint64_t positions = plan.root().model()->max_seq();
  if (options.context && *options.context > positions)
    fail(Exit::Usage, file + " holds " + std::to_string(positions) + " positions; compile with nanocc --max-seq " +
                          std::to_string(*options.context));
}

/// The runtime requests all that the plan was compiled for, so that decides. What --batch and --ctx would use of it is
/// said beside, because a plan compiled for no more than that may fit.
void checkFit(const CheckOptions &options, const schema::Program &program, const Plan &plan, uint64_t available,
              const std::string &owner) {
  const MemoryNeed need = requestedBy(program);
  const std::string numbers =
      "program " + program.target()->str() + " needs " + std::to_string(need.total()) + " bytes (" + need.text() +
      (need.allowance ? "; about " + std::to_string(need.allowance) + " for context, code and graphs" : "") + ")";
  const uint64_t positions = options.context.value_or(plan.root().model()->max_seq());
  const uint64_t rows = options.batch.value_or(largestBatch(program));
  const bool part = options.batch || options.context;
  const MemoryNeed used = usedBy(program, rows, positions);
  const std::string request = std::to_string(rows) + " rows of " + std::to_string(positions) + " positions";
  if (need.total() > available)
    fail(Exit::Memory, plan.path().string() + ": " + numbers + ", " + owner + " has " + std::to_string(available) +
                           (part && used.total() <= available
                                ? "; " + request + " use " + std::to_string(used.total()) + ": compile with --batch " +
                                      std::to_string(rows) + " --max-seq " + std::to_string(positions)
                                : "; compile with a smaller --batch or --max-seq"));
  print("memory: " + numbers + " of " + std::to_string(available) + "\n");
  if (part)
    print("request: " + request + " use " + std::to_string(used.total()) + " of them (" + used.text() + ")\n");
}

/// Each launch on both executors.
void compare(const CheckOptions &options, Loaded &loaded) {
  auto tested = makeExecutor(loaded.plan, loaded.program, *loaded.weights, loaded.device,
                             {options.common.threads, options.common.cacheDir, options.common.noCache});
  auto oracle = makeCpuExecutor(loaded.plan, loaded.program, *loaded.weights, {options.common.threads, 0, false});
  auto both = std::make_unique<LockstepExecutor>(loaded.plan, loaded.program, std::move(tested), std::move(oracle));
  const LockstepExecutor &result = *both;
  Session session(loaded.plan, loaded.program, std::move(both));
  visitEntries(session, loaded.chosen());

  print("kernel                            launches  worst (1 is the limit)\n");
  for (const auto &[kernel, difference] : result.byKernel()) {
    char line[256];
    std::snprintf(line, sizeof line, "%-32s  %8llu  %.3f%s%s\n", kernel.c_str(),
                  static_cast<unsigned long long>(difference.launches), difference.worst,
                  difference.where.empty() ? "" : "  ", difference.where.c_str());
    print(line);
  }
}

void check(const CheckOptions &options) {
  if (!options.against.empty() && options.memory)
    fail(Exit::Usage, "--against runs the plan, --memory only adds up what it needs; pass one of them");
  const auto plan = Plan::open(options.common.plan);
  print("plan: sound\n");
  if (options.memory) {
    for (const schema::Program *program : *plan->root().programs()) {
      if (!options.common.program.empty() && program->target()->string_view() != options.common.program)
        continue;
      checkShape(options, *plan, *program);
      checkFit(options, *program, *plan, *options.memory, "--memory");
    }
    // Unknown names are refused here too.
    if (!options.common.program.empty())
      chooseProgramFor(*plan, "", options.common.program);
    // A plan alone answers; weights are looked at where they are.
    if (!options.common.weights.empty() || std::filesystem::exists(weightsPath(*plan))) {
      openWeights(options.common, plan);
      print("weights: they belong to the plan\n");
    }
    flushOutput();
    return;
  }
  Loaded loaded = load(options.common);
  print("weights: they belong to the plan\n");
  checkShape(options, *plan, loaded.chosen());
  checkFit(options, loaded.chosen(), *plan, memoryOf(loaded.device),
           loaded.device.cuda ? "the device" : "this machine");
  if (!options.against.empty()) {
    if (!loaded.device.cuda)
      fail(Exit::Device,
           "--against cpu compares a CUDA device with the CPU, and there is none here; use a machine with one");
    compare(options, loaded);
    print("launches: they agree with the CPU\n");
  }
  flushOutput();
}

} // namespace

/// CLI11 takes the largest number instead.
static std::string fitsInteger(const std::string &text) {
  errno = 0;
  std::strtoull(text.c_str(), nullptr, 10);
  return errno == ERANGE ? quote(text) + " is more than 2^64" : "";
}

void addCheck(CLI::App &app) {
  CLI::App *command = app.add_subcommand("check", "Check a plan's structure, weights and memory");
  auto options = std::make_shared<CheckOptions>();
  addCommon(*command, options->common);
  command->add_option("--batch", options->batch, "Rows that the plan must serve")
      ->type_name("B")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 62));
  command->add_option("--ctx", options->context, "Positions that the plan must hold")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 62));
  command
      ->add_option("--memory", options->memory,
                   "Fit into BYTES instead of this machine's device (suffixes KiB, MiB, GiB)")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(true))
      ->transform(CLI::Validator(notNegative, "")) // the transform added last comes first
      ->transform(CLI::Validator(fitsInteger, ""));
  command->add_option("--against", options->against, "Run launch by launch on the device and on the CPU, and compare")
      ->type_name("cpu")
      ->check(CLI::IsMember({"cpu"}));
  command->footer("Examples:\n  nanort check plan.fb\n  nanort check plan.fb --batch 8 --ctx 2048 --memory 80GiB\n"
                  "  nanort check plan.fb --device cuda --against cpu --random-weights 1");
  command->callback([options] { check(*options); });
}

} // namespace nanort::tools
