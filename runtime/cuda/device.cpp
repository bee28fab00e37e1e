#include "runtime/cuda/device.h"

#include "runtime/executor/executor.h"

namespace nanort {

namespace cuda {

namespace {

int countDevices(const Driver &driver) {
  int count = 0;
  driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount", "devices");
  return count;
}

int openOrdinal(const Driver &driver, int index) {
  int count = countDevices(driver);
  if (index < 0 || index >= count)
    fail(Exit::Device, "no CUDA device " + std::to_string(index) + ": the driver reports " + std::to_string(count) +
                           " (numbered from 0; see CUDA_VISIBLE_DEVICES)");
  int device = 0;
  driver.check(driver.cuDeviceGet(&device, index), "cuDeviceGet", "device " + std::to_string(index));
  return device;
}

std::string nameOf(const Driver &driver, int device) {
  char name[256] = {};
  driver.check(driver.cuDeviceGetName(name, sizeof name - 1, device), "cuDeviceGetName", "device");
  return name;
}

int attribute(const Driver &driver, int device, int which) {
  int value = 0;
  driver.check(driver.cuDeviceGetAttribute(&value, which, device), "cuDeviceGetAttribute", "device");
  return value;
}

Arch archOf(const Driver &driver, int device) {
  return {attribute(driver, device, attributeComputeMajor), attribute(driver, device, attributeComputeMinor), ""};
}

} // namespace

Device::Device(std::shared_ptr<const Driver> driver, int index)
    : api(std::move(driver)), ordinal(openOrdinal(*api, index)), model(nameOf(*api, ordinal)),
      capability(archOf(*api, ordinal)), sharedBytes(attribute(*api, ordinal, attributeMaxSharedBytesOptin)) {
  api->check(api->cuDevicePrimaryCtxRetain(&context, ordinal), "cuDevicePrimaryCtxRetain", model);
  Result result = api->cuCtxSetCurrent(context);
  if (result == success)
    result = api->cuStreamCreate(&queue, streamNonBlocking);
  if (result != success) {
    api->cuDevicePrimaryCtxRelease(ordinal);
    api->raise(result, "cuStreamCreate", model);
  }
}

Device::~Device() {
  api->cuStreamDestroy(queue);
  api->cuDevicePrimaryCtxRelease(ordinal);
}

} // namespace cuda

int cudaDeviceCount(std::string &why) {
  auto driver = cuda::Driver::open(why);
  if (!driver)
    return 0;
  int count = cuda::countDevices(*driver);
  if (count == 0)
    why = driver->path() + " reports no device (see CUDA_VISIBLE_DEVICES)";
  return count;
}

CudaDevice cudaDevice(int index) {
  auto driver = cuda::Driver::require();
  int device = cuda::openOrdinal(*driver, index);
  cuda::Arch arch = cuda::archOf(*driver, device);
  size_t memory = 0;
  driver->check(driver->cuDeviceTotalMem(&memory, device), "cuDeviceTotalMem", "device " + std::to_string(index));
  return {cuda::nameOf(*driver, device), "sm_" + std::to_string(arch.major * 10 + arch.minor), memory};
}

int cudaRank(const Plan &plan, uint32_t index, std::string_view arch) {
  const schema::Program &program = plan.program(index);
  const std::optional<cuda::Arch> target = cuda::parseArch(program.target()->string_view()),
                                  device = cuda::parseArch(arch);
  if (!target || !device)
    return 0;
  cuda::Code code{*target, true, {}};
  forEachNode(program, [&](const schema::Node &node) {
    const auto *launch = node.work_as_Launch();
    if (!launch)
      return;
    code.complete &= program.kernels()->Get(launch->kernel())->code() != nullptr;
    if (const kernels::Engine *engine = plan.kernels(index)[launch->kernel()].kernel->engine)
      code.needs = code.needs | engine->needs;
  });
  return rankOn(code, *device);
}

} // namespace nanort
