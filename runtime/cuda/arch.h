// Which compiled image runs on which device.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nanort::cuda {

/// A device's compute capability, or what an image was compiled for ("sm_90a": 9, 0, "a").
struct Arch {
  int major = 0, minor = 0;
  std::string suffix; // "", "a" (exactly this device) or "f" (this family)
};

/// Nullopt unless `text` is "sm_" followed by two or three digits and at most one of the suffixes.
std::optional<Arch> parseArch(std::string_view text);

/// Whether a cubin for `target` runs on `device` (its suffix is ignored): "a" needs exactly that capability; otherwise
/// the same major version and a minor version that is not newer.
bool cubinFits(const Arch &target, const Arch &device);
bool cubinFits(std::string_view target, std::string_view device);

/// What to compile for a device: "sm_80", "sm_89", and from 9.0 on with the suffix that opens all its instructions.
std::string nativeTarget(const Arch &device);

} // namespace nanort::cuda
