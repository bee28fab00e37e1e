// What a device can do at best, and what a launch takes on it by that.
#pragma once

#include "kernels_templates/base/kernel.h"

#include <optional>
#include <string>
#include <string_view>

namespace kernels {

/// Half of an SM's shared memory and registers, on devices with programmatic launches. Two launches that a programmatic
/// edge joins keep to it, or the second could not become resident beside the first (kernels_templates/cuda-rules.md,
/// rule 6).
inline constexpr uint32_t halfSmShared = 113 << 10, halfSmRegisters = 32 << 10;

struct DeviceModel {
  std::string_view target;
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

/// Blocks of a launch that an SM holds at a time, of an engine that waits itself: the compiler is asked for registers
/// that let as many in. Kernels that start before their producers end leave these half of an SM's registers: two blocks
/// of 288 threads fit, or up to four of 128, as many as their shared memory lets.
uint32_t residentBlocks(const LaunchShape &shape);

/// The roofline: the larger of bytes over bandwidth and FLOPs over the unit's rate, plus the price of a launch; and the
/// time, which for an engine that predicts its own is longer.
struct Prediction {
  double bytesUs, flopsUs, launchUs;
  double tilesUs = 0; // with the launch; 0: the engine knows nothing of it
  double us() const { return tilesUs > 0 ? tilesUs : (bytesUs > flopsUs ? bytesUs : flopsUs) + launchUs; }
  /// What most of it is: "memory", "compute" or "launch".
  const char *bound() const;
  /// Work of `us` beside the waits for memory: they overlap, but the less, the more of both there is.
  double beside(double us) const;
};

/// A launch as an engine predicts it.
struct LaunchToPredict {
  const Kernel &kernel;
  const Values &values; // parameters and integer scalars
  const DeviceModel &device;
  Prediction roofline;
  LaunchShape shape;

  bool tensorCores() const { return kernel.tensorCores(values); }
  /// FLOPs a microsecond of the units that it uses.
  double rate() const;
  /// A block's step is bounded by its multiplications or by its operands' way from L2; blocks of an SM share both.
  double stepUs(uint64_t flops, uint64_t bytes) const;
};

/// What a launch has to do. `early`: it comes after its producer by a programmatic edge.
Prediction rooflineOf(const DeviceModel &device, Cost cost, bool tensorCores, bool early);

} // namespace kernels
