#include "runtime/cuda/modules.h"

#include "codegen/Cache.h"
#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "runtime/plan/machine_code.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace nanort::cuda {

namespace {

constexpr uint32_t defaultSharedBytes = 48 << 10; // what a block may have without being asked for

std::string archText(const Device &device) {
  return device.name() + " (sm_" + std::to_string(device.arch().major * 10 + device.arch().minor) + ")";
}

/// Dynamic shared memory that the launches of each kernel need at most; nullopt for kernels that are never launched.
std::vector<std::optional<uint32_t>> launchedKernels(const schema::Program &program) {
  std::vector<std::optional<uint32_t>> shared(program.kernels()->size());
  forEachNode(program, [&](const schema::Node &node) {
    if (const auto *launch = node.work_as_Launch())
      shared[launch->kernel()] = std::max(shared[launch->kernel()].value_or(0), launch->shared_bytes());
  });
  return shared;
}

std::vector<std::vector<char>> compile(codegen::Nvrtc &nvrtc, const std::vector<codegen::CompileJob> &jobs,
                                       const std::string &target, const CudaOptions &options) {
  auto cache = options.noCache ? codegen::Cache::disabled() : codegen::Cache::open(options.cacheDir);
  return codegen::compileAll(cache, nvrtc, jobs, target);
}

/// The kernels at `wanted`, made to note when they run.
std::vector<std::vector<char>> compileTimed(const Device &device, const std::vector<KernelInstance> &kernels,
                                            const std::vector<uint32_t> &wanted, const CudaOptions &options) {
  std::string reason;
  auto nvrtc = codegen::Nvrtc::open(reason);
  if (!nvrtc)
    fail(Exit::Device, "to time launches their kernels must be compiled anew: install NVRTC (" + reason + ")");
  std::vector<codegen::CompileJob> jobs;
  for (uint32_t index : wanted) {
    const KernelInstance &kernel = kernels[index];
    jobs.push_back({kernel.kernel->instanceName(kernel.params),
                    codegen::instantiate(*kernel.kernel, kernel.params, codegen::Timing::Stamps).text()});
  }
  return compile(*nvrtc, jobs, nativeTarget(device.arch()), options);
}

/// NANORT_CHAOS: a number that changes which blocks are late; empty if not asked for.
std::string chaos() {
  const char *value = std::getenv("NANORT_CHAOS");
  if (!value || !*value)
    return {};
  const std::string text(value);
  if (text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
    fail(Exit::Usage, "NANORT_CHAOS=" + text + ": give a number of up to nine digits, such as 1");
  return text;
}

/// The source with all that it includes.
std::string textOf(const schema::Plan &plan, const schema::Kernel &kernel) {
  std::string text;
  if (kernel.includes())
    for (uint32_t index : *kernel.includes()) {
      const schema::Source &source = *plan.sources()->Get(index);
      text += codegen::included(source.path()->str(), source.text()->string_view());
    }
  return text + kernel.source()->str();
}

/// Images for `device` of the kernels at `missing`, compiled from the plan's sources or out of the cache.
std::vector<std::vector<char>> compileMissing(const Device &device, const schema::Plan &plan,
                                              const schema::Program &program, const std::vector<uint32_t> &missing,
                                              const CudaOptions &options) {
  std::string target = nativeTarget(device.arch());
  const schema::Kernel &first = *program.kernels()->Get(missing.front());
  std::string situation = "kernel " + first.name()->str() + " of program " + program.target()->str() +
                          " has no image for " + archText(device);
  std::vector<codegen::CompileJob> jobs;
  for (uint32_t index : missing) {
    const schema::Kernel &kernel = *program.kernels()->Get(index);
    if (!kernel.source() || kernel.source()->size() == 0)
      fail(Exit::Device, situation + " and the plan holds no source: compile with --target " + target);
    const std::string late = chaos();
    jobs.push_back(
        {kernel.name()->str(), (late.empty() ? "" : "#define NANO_CHAOS " + late + "u\n") + textOf(plan, kernel)});
  }
  std::string reason;
  auto nvrtc = codegen::Nvrtc::open(reason);
  if (!nvrtc)
    fail(Exit::Device, situation + ": compile with --target " + target + " or install NVRTC (" + reason + ")");
  try {
    return compile(*nvrtc, jobs, target, options);
  } catch (const Error &error) {
    // Sources specialised for another architecture need not compile for this one: that is no bug, but a plan that
    // does not fit.
    std::optional<Arch> planned = parseArch(program.target()->str());
    if (error.code != Exit::Internal || (planned && planned->major == device.arch().major))
      throw;
    fail(Exit::Device,
         situation + " and does not compile for it: compile with --target " + target + " (" + error.what() + ")");
  }
}

} // namespace

Modules::Modules(const Device &device, const Plan &plan, uint32_t index, const CudaOptions &options)
    : device(device), functions(plan.kernels(index).size()) {
  const schema::Program &program = plan.program(index);
  std::vector<std::optional<uint32_t>> shared = launchedKernels(program);
  std::optional<Arch> target = parseArch(program.target()->str());
  const bool own = target && runsOn(*target, device.arch()) && chaos().empty() && !options.times;

  std::vector<uint32_t> missing;
  for (uint32_t i = 0; i < shared.size(); ++i)
    if (shared[i]) {
      if (!own || !program.kernels()->Get(i)->code())
        missing.push_back(i);
      else if (target->ptx && target->major < 9)
        allWait = false;
    }
  std::vector<std::vector<char>> compiled;
  if (!missing.empty())
    compiled = options.times ? compileTimed(device, plan.kernels(index), missing, options)
                             : compileMissing(device, plan.root(), program, missing, options);
  compiledCount = compiled.size();

  const std::optional<MachineCode> planned =
      own ? std::optional<MachineCode>(std::in_place, plan, index) : std::nullopt;
  modules.reserve(shared.size());
  try {
    for (uint32_t i = 0; i < shared.size(); ++i) {
      if (!shared[i])
        continue;
      const schema::Kernel &kernel = *program.kernels()->Get(i);
      auto at = std::lower_bound(missing.begin(), missing.end(), i);
      bool made = at != missing.end() && *at == i;
      load(kernel, i, made ? compiled[at - missing.begin()].data() : planned->of(kernel).data(), *shared[i]);
    }
  } catch (...) {
    for (Module module : modules)
      device.driver().cuModuleUnload(module);
    throw;
  }
}

void Modules::load(const schema::Kernel &kernel, uint32_t index, const void *image, uint32_t sharedBytes) {
  const Driver &driver = device.driver();
  std::string name = "kernel " + kernel.name()->str();
  if (sharedBytes > device.maxSharedBytes())
    fail(Exit::Device, name + " needs " + std::to_string(sharedBytes) + " bytes of shared memory; a block of " +
                           archText(device) + " has " + std::to_string(device.maxSharedBytes()) +
                           ": compile with --target " + nativeTarget(device.arch()));
  Module module = nullptr;
  driver.check(driver.cuModuleLoadData(&module, image), "cuModuleLoadData", name);
  modules.push_back(module);
  Function function = nullptr;
  driver.check(driver.cuModuleGetFunction(&function, module, kernel.name()->c_str()), "cuModuleGetFunction", name);
  if (sharedBytes > 0) // what a kernel may have without asking counts its static memory as well
    driver.check(driver.cuFuncSetAttribute(function, functionMaxDynamicSharedBytes, static_cast<int>(sharedBytes)),
                 "cuFuncSetAttribute", name + " with " + std::to_string(sharedBytes) + " bytes of shared memory");
  // Kernels that overlap share an SM only if all leave it the same division of its memory into cache and shared.
  driver.check(driver.cuFuncSetAttribute(function, functionSharedCarveout, 100), "cuFuncSetAttribute", name);
  functions[index] = function;
}

Modules::~Modules() {
  for (Module module : modules)
    device.driver().cuModuleUnload(module);
}

} // namespace nanort::cuda
