// What a device can do at best, for predictions: time of a launch = the larger of bytes over bandwidth and FLOPs over
// the unit's rate, plus the price of a launch.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>

namespace nanocc {

struct DeviceModel {
  double bytesPerUs;     // read bandwidth
  double bf16FlopsPerUs; // dense tensor-core rate
  double f32FlopsPerUs;
  double launchUs; // from one dependent launch to the next in a stream
};

/// sm_90a is measured on an H100 80GB HBM3 (../shared/reference/measured-h100.md: 3.12 TB/s read, 793 TFLOP/s in
/// bf16, 1.89 us a dependent launch in a graph); the others are the vendor's data sheets. Null for cpu: it is not a
/// target to predict.
inline std::optional<DeviceModel> deviceModel(llvm::StringRef target) {
  if (target == "sm_90a")
    return DeviceModel{3.12e6, 793e6, 67e6, 1.9};
  if (target == "sm_80")
    return DeviceModel{2.0e6, 312e6, 19.5e6, 2.5};
  if (target == "sm_86")
    return DeviceModel{0.77e6, 155e6, 38e6, 2.5};
  if (target == "sm_89")
    return DeviceModel{0.86e6, 362e6, 91e6, 2.5};
  if (target == "sm_100a" || target == "sm_103a")
    return DeviceModel{8.0e6, 2250e6, 80e6, 1.9};
  if (target == "sm_120a")
    return DeviceModel{1.79e6, 419e6, 105e6, 1.9};
  return std::nullopt;
}

} // namespace nanocc
