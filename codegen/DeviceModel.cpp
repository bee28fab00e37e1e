#include "codegen/DeviceModel.h"

namespace codegen {

std::optional<DeviceModel> deviceModel(std::string_view target) {
  if (target == "sm_90a")
    return DeviceModel{3.12e6, 793e6, 67e6, 1.9, 1.45, 132, 5.5e6, 0.41, 227 << 10};
  if (target == "sm_80")
    return DeviceModel{2.0e6, 312e6, 19.5e6, 2.5, 2.5, 108, 4.5e6, 1, 163 << 10};
  if (target == "sm_86")
    return DeviceModel{0.77e6, 155e6, 38e6, 2.5, 2.5, 84, 2.5e6, 1, 99 << 10};
  if (target == "sm_89")
    return DeviceModel{0.86e6, 362e6, 91e6, 2.5, 2.5, 142, 4.0e6, 1, 99 << 10};
  if (target == "sm_100a" || target == "sm_103a")
    return DeviceModel{8.0e6, 2250e6, 80e6, 1.9, 1.45, 148, 10e6, 0.5, 227 << 10};
  if (target == "sm_120a")
    return DeviceModel{1.79e6, 419e6, 105e6, 1.9, 1.45, 170, 6e6, 1, 99 << 10};
  return std::nullopt;
}

std::string sharedFault(std::string_view target, uint32_t bytes) {
  const std::optional<DeviceModel> device = deviceModel(target);
  if (!device || bytes <= device->blockShared)
    return {};
  return "needs " + std::to_string(bytes) + " bytes of shared memory; a block on " + std::string(target) + " has " +
         std::to_string(device->blockShared) + ": choose smaller tiles or fewer stages with --template";
}

bool usesTensorCores(const kernels::Family &family, const kernels::Params &params, bool library) {
  if (!library && !family.tensorCores)
    return false;
  for (const kernels::ParamDecl &param : family.params)
    if (param.name == "T")
      return params.type("T") == kernels::DType::BF16 && (library || kernels::fallbackOf(family, params).empty());
  return false;
}

const char *Prediction::bound() const {
  if (launchUs > bytesUs && launchUs > flopsUs)
    return "launch";
  return bytesUs >= flopsUs ? "memory" : "compute";
}

Prediction predict(const DeviceModel &device, const LaunchWork &work) {
  return {static_cast<double>(work.cost.bytes) / device.bytesPerUs,
          static_cast<double>(work.cost.flops) / (work.tensorCores ? device.bf16FlopsPerUs : device.f32FlopsPerUs),
          work.early ? device.earlyUs : device.launchUs};
}

} // namespace codegen
