#include "tests/gpu/device_case.h"

#include "codegen/Cache.h"
#include "codegen/Instantiate.h"
#include "runtime/cuda/tensor_map.h"

#include <cstdlib>
#include <map>

namespace nanotest {

using nanort::cuda::Device;
using nanort::cuda::DevicePtr;
using nanort::cuda::Driver;
using nanort::cuda::Function;
using nanort::cuda::Module;

namespace {

/// Freed at the end of a scope, so that no case sees what another left.
class Allocation {
public:
  explicit Allocation(size_t bytes) {
    const Driver &driver = testDevice().driver();
    driver.check(driver.cuMemAlloc(&address, bytes), "cuMemAlloc", "test case of " + std::to_string(bytes) + " bytes");
  }
  ~Allocation() { testDevice().driver().cuMemFree(address); }
  Allocation(const Allocation &) = delete;
  Allocation &operator=(const Allocation &) = delete;
  DevicePtr address = 0;
};

} // namespace

const Device &testDevice() {
  static const Device device(Driver::require(),
                             std::getenv("NANORT_TEST_DEVICE") ? std::atoi(std::getenv("NANORT_TEST_DEVICE")) : 0);
  device.makeCurrent();
  return device;
}

const std::string &testTarget() {
  static const char *asked = std::getenv("NANORT_TEST_TARGET");
  static const std::string target = asked ? asked : nanort::cuda::nativeTarget(testDevice().arch());
  return target;
}

bool isForTarget(const Case &c) {
  const bool hasClusters = testTarget().find("_8") == std::string::npos; // from sm_90 on
  return (c.family->target.empty() || c.family->target == testTarget()) &&
         (hasClusters || c.family->shape(c.params, c.scalars).cluster <= 1);
}

std::vector<Function> loadKernels(const std::vector<Case> &cases) {
  static std::string reason;
  static std::unique_ptr<codegen::Nvrtc> nvrtc = codegen::Nvrtc::open(reason);
  if (!nvrtc)
    nanort::fail(nanort::Exit::Device, reason);
  const Driver &driver = testDevice().driver();
  std::map<std::string, Function> functions;
  std::vector<codegen::CompileJob> jobs;
  for (const Case &c : cases)
    if (std::string name = codegen::kernelName(*c.family, c.params); functions.try_emplace(name).second)
      jobs.push_back({name, codegen::instantiate(*c.family, c.params)});
  codegen::Cache cache = codegen::Cache::open();
  auto images = codegen::compileAll(cache, *nvrtc, jobs, testTarget());
  for (size_t i = 0; i < jobs.size(); ++i) {
    Module module = nullptr;
    driver.check(driver.cuModuleLoadData(&module, images[i].data()), "cuModuleLoadData", jobs[i].name);
    driver.check(driver.cuModuleGetFunction(&functions[jobs[i].name], module, jobs[i].name.c_str()),
                 "cuModuleGetFunction", jobs[i].name);
  }
  std::vector<Function> result;
  for (const Case &c : cases)
    result.push_back(functions.at(codegen::kernelName(*c.family, c.params)));
  return result;
}

Launch kernelLaunch(const Case &c, Function function) {
  return [&c, function](const std::vector<DevicePtr> &addresses) {
    std::vector<DevicePtr> buffers = addresses;
    std::vector<kernels::Scalar> scalars = c.scalars;
    std::vector<void *> arguments;
    for (DevicePtr &buffer : buffers)
      arguments.push_back(&buffer);
    uint64_t noGraph = 0;
    size_t next = 0;
    for (const kernels::ArgDecl &arg : c.family->args)
      if (isScalar(arg.kind)) {
        arguments.push_back(arg.kind == kernels::ArgKind::Condition ? static_cast<void *>(&noGraph) : &scalars[next]);
        ++next;
      }
    nanort::cuda::TensorMapStore maps;
    for (const auto &[arg, map] : kernels::tensorMaps(*c.family, c.params, c.scalars, c.limits))
      arguments.push_back(
          &maps.emplace_back(nanort::cuda::encode(testDevice().driver(), map, c.types[arg], buffers[arg], c.label())));
    kernels::LaunchShape shape = c.family->shape(c.params, c.scalars);
    const Driver &driver = testDevice().driver();
    if (shape.sharedBytes > 0)
      driver.check(driver.cuFuncSetAttribute(function, nanort::cuda::FunctionMaxDynamicSharedBytes,
                                             static_cast<int>(shape.sharedBytes)),
                   "cuFuncSetAttribute", c.label());
    driver.check(driver.cuLaunchKernel(function, shape.grid[0], shape.grid[1], shape.grid[2], shape.block[0],
                                       shape.block[1], shape.block[2], shape.sharedBytes, testDevice().stream(),
                                       arguments.data(), nullptr),
                 "cuLaunchKernel", c.label());
  };
}

std::optional<std::vector<std::vector<std::byte>>> runOnDevice(const Case &c, const Launch &launch, int fill,
                                                               std::string &why) {
  const CaseMemory before = layOut(c, fill);
  const size_t total = before.image.size();
  Allocation memory(total);
  static nanort::cuda::Staging staging(testDevice());
  staging.write(memory.address, before.image.data(), total);
  std::vector<DevicePtr> addresses;
  for (size_t offset : before.offsets)
    addresses.push_back(memory.address + offset);
  launch(addresses);
  std::vector<std::byte> after(total);
  staging.read(after.data(), memory.address, total, c.label());
  return buffersAfter(c, before, after, why);
}

} // namespace nanotest
