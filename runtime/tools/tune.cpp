// nanort tune: measures what can serve a plan's matrix products and attentions, for nanocc --tuning.
#include "runtime/measure/tune.h"

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/tools/common.h"

#include <nlohmann/json.hpp>

namespace nanort::tools {
namespace {

struct TuneFlags {
  CommonOptions common;
  std::string output;
  int rounds = 5;
};

void tuneProgram(const TuneFlags &flags) {
  const auto plan = Plan::open(flags.common.plan);
  checkOutputs(inputsOf(flags.common, *plan), {{"-o", flags.output}});
  AtomicFile file(flags.output); // before the work: a folder that cannot be written shows now
  if (flags.common.device == "cpu")
    fail(Exit::Usage, "--device cpu: only a CUDA device's kernels have choices");
  const DeviceChoice device = chooseDevice(flags.common.device);
  if (!device.cuda)
    fail(Exit::Device, "nanort tune measures on a CUDA device, and there is none here");
  const uint32_t program = chooseProgram(*plan, device, flags.common.program);
  const Tuning tuning = tune(*plan, program, {device.index, flags.rounds, flags.common.cacheDir, flags.common.noCache},
                             [&](const std::string &line) { log(flags.common, line); });
  nlohmann::ordered_json json = {{"format", 2},
                                 {"target", tuning.target},
                                 {"device", tuning.device},
                                 {"driver", tuning.driver},
                                 {"nvrtc", tuning.nvrtc},
                                 {"times", nlohmann::ordered_json::array()}};
  for (const TunedChoice &time : tuning.times)
    json["times"].push_back({{"problem", time.problem}, {"choice", time.choice}, {"us", time.us}});
  file.write(json.dump(1) + "\n");
  file.commit();
}

} // namespace

void addTune(CLI::App &app) {
  CLI::App *command =
      app.add_subcommand("tune", "Measure what can serve a plan's matrix products and attentions, for nanocc --tuning");
  auto flags = std::make_shared<TuneFlags>();
  addDevice(*command, flags->common);
  command->add_option("-o,--output", flags->output, "The tuning file (JSON); - is standard output")
      ->type_name("FILE")
      ->required();
  command->add_option("--rounds", flags->rounds, "Times that every choice is measured; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->footer("Examples:\n  nanort tune plan.fb -o h100.json\n  nanocc model.mlir --tuning h100.json -o plan.fb");
  command->callback([flags] { tuneProgram(*flags); });
}

} // namespace nanort::tools
