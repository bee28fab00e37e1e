// Kernel images of a program on a device: the plan's own where they fit, otherwise compiled from its sources.
#pragma once

#include "runtime/cuda/device.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan.h"

#include <vector>

namespace nanort::cuda {

class Modules {
public:
  /// Loads every kernel that a Launch node names. Errors: Exit::Device if a kernel has no image for the device and
  /// NVRTC is missing, or needs more shared memory than a block can have; Exit::Cuda.
  Modules(const Device &device, const Plan &plan, uint32_t program, const CudaOptions &options);
  ~Modules();
  Modules(const Modules &) = delete;
  Modules &operator=(const Modules &) = delete;

  /// Null for a kernel that no Launch node names.
  Function function(uint32_t kernel) const { return functions[kernel]; }
  size_t compiled() const { return compiledCount; } // by NVRTC or from its cache, rather than out of the plan
  /// False if kernels of PTX for devices before 9.0 are among them, which do not wait for their producers.
  bool waitForProducers() const { return allWait; }

private:
  void load(const schema::Kernel &kernel, uint32_t index, const void *image, uint32_t sharedBytes);

  const Device &device;
  std::vector<Module> modules;
  std::vector<Function> functions;
  size_t compiledCount = 0;
  bool allWait = true;
};

} // namespace nanort::cuda
