// What a launch takes on a target at best.
#pragma once

#include "kernels_templates/base/kernel.h"

namespace kernels {

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
  const Target &device;
  Prediction roofline;
  LaunchShape shape;

  bool tensorCores() const { return kernel.tensorCores(values); }
  /// FLOPs a microsecond of the units that it uses.
  double rate() const;
  /// A block's step is bounded by its multiplications or by its operands' way from L2; blocks of an SM share both.
  double stepUs(uint64_t flops, uint64_t bytes) const;
};

/// What a launch has to do. `early`: it comes after its producer by a programmatic edge.
Prediction rooflineOf(const Target &device, Cost cost, bool tensorCores, bool early);

} // namespace kernels
