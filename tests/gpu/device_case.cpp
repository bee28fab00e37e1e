#include "tests/gpu/device_case.h"

#include "codegen/Cache.h"
#include "codegen/Instantiate.h"
#include "runtime/cuda/tensor_map.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>

namespace nanotest {

using nanort::cuda::Device;
using nanort::cuda::DevicePtr;
using nanort::cuda::Driver;
using nanort::cuda::Function;
using nanort::cuda::Module;

namespace {

// A multiple of every alignment a kernel may count on, and more than one vector access.
constexpr size_t Guard = 4096;
constexpr int GuardByte = 0x5a;

size_t padded(size_t bytes) { return (bytes + 255) / 256 * 256; }

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

bool isScratch(const Case &c, size_t buffer) { return c.decls[buffer].kind == kernels::ArgKind::Scratch; }
bool isOutput(const Case &c, size_t buffer) {
  return c.decls[buffer].kind == kernels::ArgKind::Out || isScratch(c, buffer);
}

} // namespace

const Device &testDevice() {
  static const Device device(Driver::require(),
                             std::getenv("NANORT_TEST_DEVICE") ? std::atoi(std::getenv("NANORT_TEST_DEVICE")) : 0);
  device.makeCurrent();
  return device;
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
  auto images = codegen::compileAll(cache, *nvrtc, jobs, nanort::cuda::nativeTarget(testDevice().arch()));
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
  std::vector<size_t> offsets;
  size_t total = Guard;
  for (const auto &buffer : c.buffers) {
    offsets.push_back(total);
    total += padded(buffer.size()) + Guard;
  }
  std::vector<std::byte> image(total, std::byte{GuardByte});
  for (size_t b = 0; b < c.buffers.size(); ++b) {
    if (isOutput(c, b))
      std::memset(image.data() + offsets[b], fill, c.buffers[b].size());
    else
      std::memcpy(image.data() + offsets[b], c.buffers[b].data(), c.buffers[b].size());
  }

  Allocation memory(total);
  static nanort::cuda::Staging staging(testDevice());
  staging.write(memory.address, image.data(), total);
  std::vector<DevicePtr> addresses;
  for (size_t offset : offsets)
    addresses.push_back(memory.address + offset);
  launch(addresses);
  std::vector<std::byte> after(total);
  staging.read(after.data(), memory.address, total, c.label());

  std::vector<std::vector<std::byte>> result;
  size_t guard = 0; // start of the bytes that nothing may have written
  for (size_t b = 0; b <= c.buffers.size(); ++b) {
    size_t end = b < c.buffers.size() ? offsets[b] : total;
    for (size_t i = guard; i < end; ++i)
      if (after[i] != image[i]) {
        why = "writes outside its buffers, " +
              (b == 0 ? std::to_string(end - i) + " bytes before the first"
                      : std::to_string(i - guard) + " bytes past the end of " + std::string(c.decls[b - 1].name));
        return std::nullopt;
      }
    if (b == c.buffers.size())
      break;
    guard = offsets[b] + c.buffers[b].size();
    if (c.decls[b].kind == kernels::ArgKind::In &&
        std::memcmp(&after[offsets[b]], &image[offsets[b]], c.buffers[b].size()) != 0) {
      why = "writes its input " + std::string(c.decls[b].name);
      return std::nullopt;
    }
    result.emplace_back(after.begin() + offsets[b], after.begin() + guard);
    if (isScratch(c, b)) // holds no result
      std::fill(result.back().begin(), result.back().end(), std::byte{0});
  }
  return result;
}

std::string compareOutputs(const Case &expected, const std::vector<std::vector<std::byte>> &actual, double &worst) {
  Case device = expected;
  device.buffers = actual;
  const double tolerance = expected.family->tolerance(expected.params);
  std::string message;
  worst = 0;
  for (size_t b = 0; b < expected.buffers.size(); ++b) {
    if (expected.decls[b].kind == kernels::ArgKind::In || isScratch(expected, b))
      continue;
    auto describe = [&](size_t i) {
      return expected.label() + ": " + std::string(expected.decls[b].name) + "[" + std::to_string(i) + "] is " +
             std::to_string(device.get(b, i)) + ", the CPU has " + std::to_string(expected.get(b, i));
    };
    const bool integers = expected.types[b] == kernels::DType::I32 || expected.types[b] == kernels::DType::U32;
    double largest = 0;
    for (size_t i = 0; i < expected.elements(b); ++i)
      if (double value = std::abs(expected.get(b, i)); std::isfinite(value))
        largest = std::max(largest, value);
    for (size_t i = 0; i < expected.elements(b); ++i) {
      const double x = device.get(b, i), y = expected.get(b, i);
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      if (integers || !std::isfinite(x) || !std::isfinite(y))
        return describe(i);
      // Beside zeros alone nothing is relative: the difference itself counts.
      const double ratio = std::abs(x - y) / (tolerance * (largest > 0 ? largest : 1));
      if (ratio > worst) {
        worst = ratio;
        if (ratio > 1)
          message = describe(i) + ", " + std::to_string(ratio) + " times the tolerance";
      }
    }
  }
  return message;
}

} // namespace nanotest
