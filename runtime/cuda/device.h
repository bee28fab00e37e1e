// One CUDA device with its primary context and the stream everything is ordered on.
#pragma once

#include "runtime/cuda/arch.h"
#include "runtime/cuda/driver.h"

namespace nanort::cuda {

class Device {
public:
  /// Errors: Exit::Device if there is no device `index`, Exit::Memory or Exit::Cuda if it gives no context.
  Device(std::shared_ptr<const Driver> driver, int index);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const Driver &driver() const { return *api; }
  const std::string &name() const { return model; }
  const Arch &arch() const { return capability; }
  uint64_t maxSharedBytes() const { return sharedBytes; } // dynamic shared memory of one block
  Stream stream() const { return queue; }
  Context handle() const { return context; }

  /// A context belongs to a thread: every public call into an executor starts with this.
  void makeCurrent() const { api->check(bind(), "cuCtxSetCurrent", model); }
  Result bind() const { return api->cuCtxSetCurrent(context); } // for destructors, which must not throw
  /// Waits for the stream. An error here may come from any earlier launch; `thing` names the last one.
  void synchronize(std::string_view thing) const {
    api->check(api->cuStreamSynchronize(queue), "cuStreamSynchronize", thing);
  }

private:
  std::shared_ptr<const Driver> api;
  int ordinal = 0; // CUdevice
  std::string model;
  Arch capability;
  uint64_t sharedBytes = 0;
  Context context = nullptr;
  Stream queue = nullptr;
};

} // namespace nanort::cuda
