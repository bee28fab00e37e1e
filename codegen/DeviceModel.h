// What a device can do at best, and what a launch takes on it by that.
#pragma once

#include "kernels_templates/common/family.h"

#include <optional>
#include <string>
#include <string_view>

namespace codegen {

/// Half of an SM's shared memory and registers, on devices with programmatic launches. Two launches that a programmatic
/// edge joins keep to it, or the second could not become resident beside the first (kernels_templates/cuda-rules.md,
/// rule 6).
inline constexpr uint32_t halfSmShared = 113 << 10, halfSmRegisters = 32 << 10;

struct DeviceModel {
  double bytesPerUs;     // read bandwidth
  double bf16FlopsPerUs; // dense tensor-core rate
  double f32FlopsPerUs;
  double launchUs; // from one dependent launch to the next in a graph
  double earlyUs;  // the same over a programmatic edge
  uint32_t sms;
  double l2BytesPerUs;  // from L2 to the SMs, all together
  double warpMmaShare;  // of bf16FlopsPerUs that mma.sync reaches
  uint32_t blockShared; // bytes of shared memory that a block may have, at most
};

/// sm_90a is measured on an H100 80GB HBM3 (3.12 TB/s read, 793 TFLOP/s in bf16, 1.89 us a dependent launch in a graph,
/// 1.45 us with programmatic edges); the others are the vendor's data sheets, with launches as on the nearest measured
/// device. L2 bandwidths and the share of mma.sync (Luo et al., arXiv:2402.13499, for Hopper) are estimates: they only
/// weigh one tile against another. Shared memory: CUDA C++ programming guide, technical specifications. Null for cpu:
/// it is not a target to predict.
std::optional<DeviceModel> deviceModel(std::string_view target);
/// Empty, or why no block with so many bytes of shared memory runs on the target, with the remedy.
std::string sharedFault(std::string_view target, uint32_t bytes);

/// What a launch has to do.
struct LaunchWork {
  kernels::Cost cost;
  bool tensorCores = false;
  bool early = false; // comes after its producer by a programmatic edge
};
/// Of the library, or of a family's kernel with these parameters.
bool usesTensorCores(const kernels::Family &family, const kernels::Params &params, bool library);

/// The roofline: the larger of bytes over bandwidth and FLOPs over the unit's rate, plus the price of a launch; and the
/// time, which for a kernel whose tiles are known (codegen/Choices.h, predictTilesUs) is longer.
struct Prediction {
  double bytesUs, flopsUs, launchUs;
  double tilesUs = 0; // with the launch; 0: nothing is known of them
  double us() const { return tilesUs > 0 ? tilesUs : (bytesUs > flopsUs ? bytesUs : flopsUs) + launchUs; }
  /// What most of it is: "memory", "compute" or "launch".
  const char *bound() const;
};
Prediction predict(const DeviceModel &device, const LaunchWork &work);

} // namespace codegen
