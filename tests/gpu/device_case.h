// One launch of a test case on the device, with its memory around it watched.
#pragma once

#include "runtime/cuda/device.h"
#include "runtime/cuda/memory.h"
#include "tests/unit/case_memory.h"

#include <functional>

namespace nanotest {

/// The device under test, opened once: $NANORT_TEST_DEVICE or 0. Throws if there is none.
const nanort::cuda::Device &testDevice();

/// What kernels are compiled for: $NANORT_TEST_TARGET or the device. "compute_80": PTX with the code for sm_80, which
/// the driver makes run on any later device.
const std::string &testTarget();
/// Whether `c` is a launch for that target.
bool isForTarget(const Case &c);

/// Entry points of all distinct instances among `cases`, compiled in parallel (NVRTC or its cache). They stay loaded.
/// In the order of `cases`.
std::vector<nanort::cuda::Function> loadKernels(const std::vector<Case> &cases);

/// Enqueues what is tested, given the buffers' addresses.
using Launch = std::function<void(const std::vector<nanort::cuda::DevicePtr> &)>;
Launch kernelLaunch(const Case &c, nanort::cuda::Function function);

/// Copies the buffers of `c` to the device, each between guards, with the outputs filled with `fill`; launches; copies
/// them back. Nullopt if a guard or an input changed; `why` then says which.
std::optional<std::vector<std::vector<std::byte>>> runOnDevice(const Case &c, const Launch &launch, int fill,
                                                               std::string &why);

} // namespace nanotest
