// Descriptors for the copy engine (TMA), from what a plan says of them.
#pragma once

#include "kernels_templates/base/catalogue.h"
#include "runtime/cuda/driver.h"

#include <deque>

namespace nanort::cuda {

/// CUtensorMap.
struct alignas(64) TensorMapImage {
  uint64_t words[16];
};

/// Of a buffer at `base`. Throws Exit::Cuda if the driver refuses it; `thing` names the launch.
TensorMapImage encode(const Driver &driver, const kernels::TensorMap &map, kernels::DType type, DevicePtr base,
                      std::string_view thing);

/// Images that stay where they are: kernel arguments point at them.
using TensorMapStore = std::deque<TensorMapImage>;

} // namespace nanort::cuda
