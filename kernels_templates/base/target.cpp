#include "kernels_templates/base/target.h"

#include <charconv>
#include <optional>
#include <vector>

namespace kernels {

namespace {

struct FeatureName {
  Feature feature;
  std::string_view name;
};
constexpr FeatureName featureNames[] = {
    {Feature::Wgmma, "wgmma"}, {Feature::Tcgen05, "tcgen05"},   {Feature::BlockScaledMma, "mma with block scales"},
    {Feature::Tma, "TMA"},     {Feature::Clusters, "clusters"}, {Feature::Programmatic, "programmatic launches"},
    {Feature::Fp8, "fp8"},
};

struct Served {
  uint32_t major, minor;
  std::string_view by;
};
constexpr Served served[] = {
#define TARGET(...)
#define SERVED(major, minor, name) {major, minor, name},
#include "kernels_templates/base/targets.def"
#undef TARGET
#undef SERVED
};

/// 9, 0 of "sm_90", "sm_90a" and "sm_90f".
std::optional<std::pair<uint32_t, uint32_t>> capabilityOf(std::string_view target) {
  if (!target.starts_with("sm_"))
    return std::nullopt;
  target.remove_prefix(3);
  if (target.ends_with('a') || target.ends_with('f'))
    target.remove_suffix(1);
  uint32_t number = 0;
  const char *end = target.data() + target.size();
  if (target.size() < 2 || target.size() > 3 || std::from_chars(target.data(), end, number).ptr != end)
    return std::nullopt;
  return std::pair(number / 10, number % 10);
}

/// The target whose code runs on a device of this capability; empty if there is none.
std::string_view neighbour(uint32_t major, uint32_t minor) {
  for (const Target &target : targets)
    if (target.major == major && target.minor == minor && !target.isPtx())
      return target.name;
  for (const Served &device : served)
    if (device.major == major && device.minor == minor)
      return device.by;
  return {};
}

} // namespace

Features featuresOf(uint32_t major, uint32_t minor) {
  if (const Target *target = findTarget(neighbour(major, minor)))
    return target->features;
  // What every later device has had so far.
  if (major >= 9)
    return Feature::Fp8 | Feature::Programmatic | Feature::Clusters | Feature::Tma;
  return major == 8 && minor >= 9 ? Features(Feature::Fp8) : Features();
}

std::string missing(Features had, Features needed) {
  std::vector<std::string_view> names;
  for (const auto &[feature, name] : featureNames)
    if (needed.has(feature) && !had.has(feature))
      names.push_back(name);
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += std::string(i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + std::string(names[i]);
  return text;
}

std::string featureFault(std::string_view target, Features needed) {
  const Target *device = findTarget(target);
  const std::string lacks = device ? missing(device->features, needed) : "";
  return lacks.empty() ? "" : "needs " + lacks + ", which " + std::string(target) + " lacks";
}

std::string sharedFault(std::string_view target, uint32_t bytes) {
  const Target *device = findTarget(target);
  if (!device || bytes <= device->blockShared)
    return {};
  return "needs " + std::to_string(bytes) + " bytes of shared memory; a block on " + std::string(target) + " has " +
         std::to_string(device->blockShared) + ": choose smaller tiles or fewer stages with --template";
}

std::string targetFault(std::string_view target) {
  if (target == "cpu" || findTarget(target))
    return "";
  const std::string quoted = "target '" + std::string(target) + "'";
  if (target.starts_with("compute_"))
    return quoted + ": PTX is for compute_80, which every later device's driver takes: use --target compute_80";
  if (const auto capability = capabilityOf(target))
    if (const std::string by(neighbour(capability->first, capability->second)); !by.empty())
      return quoted + " is served by " + by + ": use --target " + by;
  std::string list = "cpu";
  for (const Target &known : targets)
    list += ", " + std::string(known.name);
  return quoted + " is not one of " + list;
}

} // namespace kernels
