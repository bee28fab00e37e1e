// When launches ran: a pair of words on the device for each, which kernels compiled to be timed fill.
#pragma once

#include "runtime/cuda/memory.h"

namespace nanort::cuda {

class Stamps {
public:
  /// Of `launches` kernels. Errors: Exit::Memory.
  Stamps(const Device &device, size_t launches);
  ~Stamps();
  Stamps(const Stamps &) = delete;
  Stamps &operator=(const Stamps &) = delete;

  /// The argument of the launch (see kernels_templates/device/stamps.cuh).
  DevicePtr at(size_t launch) const { return base + launch * wordsBytes; }
  /// Forgets all, in stream order.
  void clear() const;
  /// Waits for what was started. Launches that have not run since clear() have no times.
  std::vector<LaunchTime> read(Staging &staging, size_t first, size_t count, const std::string &thing) const;

private:
  static constexpr size_t wordsBytes = 2 * sizeof(uint64_t);
  const Device &device;
  size_t bytes;
  DevicePtr base = 0;
};

} // namespace nanort::cuda
