#include "kernels_templates/base/predict.h"

#include <algorithm>
#include <cmath>

namespace kernels {

uint32_t residentBlocks(const LaunchShape &shape) {
  const uint32_t fitting = std::max(2u, 2 * halfSmShared / std::max(1u, shape.sharedBytes));
  return std::min(std::clamp(576 / shape.threads, 1u, 4u), fitting);
}

const char *Prediction::bound() const {
  if (launchUs > bytesUs && launchUs > flopsUs)
    return "launch";
  return bytesUs >= flopsUs ? "memory" : "compute";
}

double Prediction::beside(double us) const { return launchUs + std::hypot(bytesUs, std::max(flopsUs, us)); }

double LaunchToPredict::rate() const {
  if (!tensorCores())
    return device.f32FlopsPerUs;
  return device.bf16FlopsPerUs * (kernel.engine->needs.has(Feature::Wgmma) ? 1 : device.warpMmaShare);
}

double LaunchToPredict::stepUs(uint64_t flops, uint64_t bytes) const {
  return device.sms * std::max(static_cast<double>(flops) / rate(), static_cast<double>(bytes) / device.l2BytesPerUs);
}

Prediction rooflineOf(const Target &device, Cost cost, bool tensorCores, bool early) {
  return {static_cast<double>(cost.bytes) / device.bytesPerUs,
          static_cast<double>(cost.flops) / (tensorCores ? device.bf16FlopsPerUs : device.f32FlopsPerUs),
          early ? device.earlyUs : device.launchUs};
}

} // namespace kernels
