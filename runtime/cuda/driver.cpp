#include "runtime/cuda/driver.h"

#include <cstdlib>
#include <dlfcn.h>

namespace nanort::cuda {

namespace {

using GetProcAddress = Result (*)(const char *symbol, void **address, int version, uint64_t flags, int *status);

constexpr int oldestDriver = 12000;
constexpr int newestKnown = 13000; // from here on cuGraphAddNode takes edge data

} // namespace

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::shared_ptr<const Driver> Driver::open(std::string &why) {
  const char *chosen = std::getenv("NANORT_CUDA_DRIVER");
  auto driver = std::make_shared<Driver>();
  driver->library = chosen && *chosen ? chosen : "libcuda.so.1";
  std::string from = chosen && *chosen ? " ($NANORT_CUDA_DRIVER)" : "";

  void *handle = dlopen(driver->library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    why = "no CUDA driver: cannot open " + driver->library + from + ": " + dlerror() +
          (from.empty() ? "; install NVIDIA's driver or name its library in $NANORT_CUDA_DRIVER" : "");
    return nullptr;
  }
  auto resolve = reinterpret_cast<GetProcAddress>(dlsym(handle, "cuGetProcAddress_v2"));
  if (!resolve) {
    why = driver->library + from + " has no cuGetProcAddress_v2: driver 12.0 or newer is needed";
    return nullptr;
  }

  // A name means another signature in another version, so the version asked for is one this code was written against.
  int wanted = oldestDriver;
  auto bind = [&](const char *name, auto &function) {
    void *address = nullptr;
    int status = 0;
    if (resolve(name, &address, wanted, 0, &status) != success || !address) {
      why = driver->library + from + " has no " + name + " of version " + versionText(wanted);
      return false;
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
    return true;
  };
  if (!bind("cuDriverGetVersion", driver->cuDriverGetVersion))
    return nullptr;
  if (driver->cuDriverGetVersion(&driver->driverVersion) != success || driver->driverVersion < oldestDriver) {
    why = driver->library + from + " is a driver for CUDA " + versionText(driver->driverVersion) +
          "; 12.0 or newer is needed";
    return nullptr;
  }
  if (driver->driverVersion >= newestKnown)
    wanted = newestKnown;
#define X(name, arguments)                                                                                             \
  if (!bind(#name, driver->name))                                                                                      \
    return nullptr;
  NANO_CUDA_DRIVER_FUNCTIONS(X)
#undef X
  if (wanted == newestKnown && !(bind("cuGraphAddNode", driver->cuGraphAddNode) &&
                                 bind("cuGraphConditionalHandleCreate", driver->cuGraphConditionalHandleCreate)))
    return nullptr;

  if (Result result = driver->cuInit(0)) {
    why = driver->library + from + ": cuInit: " + driver->describe(result);
    return nullptr;
  }
  return driver;
}

std::shared_ptr<const Driver> Driver::require() {
  std::string why;
  auto driver = open(why);
  if (!driver)
    fail(Exit::Device, why);
  return driver;
}

std::string Driver::describe(Result result) const {
  const char *text = nullptr, *name = nullptr;
  cuGetErrorString(result, &text);
  cuGetErrorName(result, &name);
  return std::string(text ? text : "unknown error") + " (" + (name ? name : std::to_string(result).c_str()) + ")";
}

void Driver::raise(Result result, const char *call, std::string_view thing) const {
  fail(result == outOfMemory ? Exit::Memory : Exit::Cuda, std::string(thing) + ": " + call + ": " + describe(result));
}

} // namespace nanort::cuda
