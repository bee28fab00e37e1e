#include "runtime/session/device.h"

#include "runtime/base/error.h"
#include "runtime/base/ranges.h"
#include "runtime/base/text.h"

#include <charconv>
#include <unistd.h>

namespace nanort {

DeviceChoice chooseDevice(const std::string &text) {
  if (text == "cpu")
    return {};
  DeviceChoice choice{true, 0};
  if (text.starts_with("cuda:")) {
    const char *end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data() + 5, end, choice.index);
    if (error != std::errc() || stop != end || choice.index < 0)
      fail(Exit::Usage, "--device " + quote(text) + ": the number after 'cuda:' is 0 or more");
  } else if (text != "cuda" && text != "auto") {
    fail(Exit::Usage, "--device " + quote(text) + ": pass auto, cuda, cuda:N or cpu");
  }
  std::string why;
  const int count = cudaDeviceCount(why);
  if (count == 0 && text == "auto")
    return {};
  if (count == 0)
    fail(Exit::Device, "--device " + text + ": no CUDA device (" + why + "); use --device cpu");
  if (choice.index >= count)
    fail(Exit::Device,
         "--device " + text + ": the driver reports " + std::to_string(count) + " device(s), numbered from 0");
  return choice;
}

static std::string targets(const Plan &plan) {
  std::string list;
  for (const schema::Program *program : *plan.root().programs())
    list += (list.empty() ? "" : ", ") + program->target()->str();
  return list;
}

uint32_t chooseProgramFor(const Plan &plan, const std::string &arch, const std::string &name) {
  const auto &programs = *plan.root().programs();
  int best = -1, bestRank = 0;
  for (uint32_t i = 0; i < programs.size(); ++i) {
    const std::string target = programs[i]->target()->str();
    if (!name.empty()) {
      if (target != name)
        continue;
      if (target == "cpu" && !arch.empty())
        fail(Exit::Device, plan.path().string() + ": program cpu does not run on CUDA; use --device cpu");
      return i;
    }
    const int rank = !arch.empty() ? cudaRank(plan, i, arch) : target == "cpu" ? 2 : 1;
    if (rank > bestRank) {
      best = static_cast<int>(i);
      bestRank = rank;
    }
  }
  if (!name.empty())
    fail(Exit::Usage, plan.path().string() + ": no program " + quote(name) + "; it has " + targets(plan));
  if (best < 0)
    fail(Exit::Device, plan.path().string() + ": no program fits " + arch + " (it has " + targets(plan) +
                           "); compile with --target for it, or use --device cpu");
  return static_cast<uint32_t>(best);
}

uint32_t chooseProgram(const Plan &plan, const DeviceChoice &device, const std::string &name) {
  return chooseProgramFor(plan, device.cuda ? cudaDevice(device.index).arch : "", name);
}

std::unique_ptr<Executor> makeExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                       const DeviceChoice &device, const ExecutorOptions &options) {
  const Range range("load");
  if (!device.cuda)
    return makeCpuExecutor(std::move(plan), program, weights, {options.threads, 0, false});
  return makeCudaExecutor(
      std::move(plan), program, weights,
      {device.index, options.cacheDir, options.noCache, options.graphs, options.times, options.fullEdges});
}

static std::filesystem::path beside(const Plan &plan, const flatbuffers::String *name) {
  if (!name || name->size() == 0)
    return {};
  return plan.path().parent_path() / name->str();
}

std::filesystem::path weightsPath(const Plan &plan) { return beside(plan, plan.root().weights()); }
std::filesystem::path tokenizerPath(const Plan &plan) { return beside(plan, plan.root().tokenizer()); }

uint64_t memoryOf(const DeviceChoice &device) {
  if (device.cuda)
    return cudaDevice(device.index).memory;
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

} // namespace nanort
