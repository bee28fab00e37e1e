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

bool isForTarget(const Case &c) { return kernels::featureFault(testTarget(), c.kernel->engine->needs).empty(); }

std::vector<Function> loadKernels(const std::vector<Case> &cases) {
  static std::string reason;
  static std::unique_ptr<codegen::Nvrtc> nvrtc = codegen::Nvrtc::open(reason);
  if (!nvrtc)
    nanort::fail(nanort::Exit::Device, reason);
  const Driver &driver = testDevice().driver();
  std::map<std::string, Function> functions;
  std::vector<codegen::CompileJob> jobs;
  for (const Case &c : cases)
    if (std::string name = c.kernel->instanceName(c.params); functions.try_emplace(name).second)
      jobs.push_back({name, codegen::instantiate(*c.kernel, c.params).text()});
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
    result.push_back(functions.at(c.kernel->instanceName(c.params)));
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
    for (size_t i = 0; i < scalars.size(); ++i)
      arguments.push_back(c.arg(buffers.size() + i).access == kernels::Access::Condition ? static_cast<void *>(&noGraph)
                                                                                         : &scalars[i]);
    nanort::cuda::TensorMapStore maps;
    for (const kernels::TensorMap &map : c.kernel->maps(c.launch(), c.limits)) {
      const size_t arg = c.kernel->indexOf(map.arg);
      arguments.push_back(
          &maps.emplace_back(nanort::cuda::encode(testDevice().driver(), map, c.types[arg], buffers[arg], c.label())));
    }
    const kernels::LaunchShape shape = c.kernel->shape(c.launch());
    const Driver &driver = testDevice().driver();
    if (shape.sharedBytes > 0)
      driver.check(driver.cuFuncSetAttribute(function, nanort::cuda::functionMaxDynamicSharedBytes,
                                             static_cast<int>(shape.sharedBytes)),
                   "cuFuncSetAttribute", c.label());
    driver.check(driver.cuLaunchKernel(function, shape.blocks, 1, 1, shape.threads, 1, 1, shape.sharedBytes,
                                       testDevice().stream(), arguments.data(), nullptr),
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
