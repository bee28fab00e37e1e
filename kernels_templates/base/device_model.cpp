#include "kernels_templates/base/device_model.h"

#include <algorithm>
#include <cmath>

namespace kernels {

std::optional<DeviceModel> deviceModel(std::string_view target) {
  constexpr DeviceModel models[] = {
      {"sm_90a", 3.12e6, 793e6, 67e6, 1.9, 1.45, 132, 5.5e6, 0.41, 227 << 10},
      {"sm_80", 2.0e6, 312e6, 19.5e6, 2.5, 2.5, 108, 4.5e6, 1, 163 << 10},
      {"sm_86", 0.77e6, 155e6, 38e6, 2.5, 2.5, 84, 2.5e6, 1, 99 << 10},
      {"sm_89", 0.86e6, 362e6, 91e6, 2.5, 2.5, 142, 4.0e6, 1, 99 << 10},
      {"sm_100a", 8.0e6, 2250e6, 80e6, 1.9, 1.45, 148, 10e6, 0.5, 227 << 10},
      {"sm_103a", 8.0e6, 2250e6, 80e6, 1.9, 1.45, 148, 10e6, 0.5, 227 << 10},
      {"sm_120a", 1.79e6, 419e6, 105e6, 1.9, 1.45, 170, 6e6, 1, 99 << 10},
  };
  for (const DeviceModel &model : models)
    if (model.target == target)
      return model;
  return std::nullopt;
}

std::string sharedFault(std::string_view target, uint32_t bytes) {
  const std::optional<DeviceModel> device = deviceModel(target);
  if (!device || bytes <= device->blockShared)
    return {};
  return "needs " + std::to_string(bytes) + " bytes of shared memory; a block on " + std::string(target) + " has " +
         std::to_string(device->blockShared) + ": choose smaller tiles or fewer stages with --template";
}

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
  return device.bf16FlopsPerUs * (kernel.engine->target.empty() ? device.warpMmaShare : 1);
}

double LaunchToPredict::stepUs(uint64_t flops, uint64_t bytes) const {
  return device.sms * std::max(static_cast<double>(flops) / rate(), static_cast<double>(bytes) / device.l2BytesPerUs);
}

Prediction rooflineOf(const DeviceModel &device, Cost cost, bool tensorCores, bool early) {
  return {static_cast<double>(cost.bytes) / device.bytesPerUs,
          static_cast<double>(cost.flops) / (tensorCores ? device.bf16FlopsPerUs : device.f32FlopsPerUs),
          early ? device.earlyUs : device.launchUs};
}

} // namespace kernels
