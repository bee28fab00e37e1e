// Which compiled code runs on which device.
#pragma once

#include "kernels_templates/base/target.h"

#include <optional>
#include <string>
#include <string_view>

namespace nanort::cuda {

/// A device's compute capability, or what code was compiled for ("sm_90a": 9, 0, "a").
struct Arch {
  int major = 0, minor = 0;
  std::string suffix; // "", "a" (exactly this device) or "f" (this family)
  bool ptx = false;   // "compute_80": not machine code, but what a driver makes it of

  bool newerThan(const Arch &other) const { return major != other.major ? major > other.major : minor > other.minor; }
  bool operator==(const Arch &) const = default;
};

/// Nullopt unless `text` is "sm_" or "compute_", followed by two or three digits and at most one of the suffixes.
std::optional<Arch> parseArch(std::string_view text);

/// Whether code for `target` is loaded as it is by the driver of a `device` (whose suffix is ignored). PTX: on that
/// capability and every later one. Machine code: with "a" on exactly that capability; otherwise on the same major
/// version, if the minor one is not newer, but for Tegra (8.7), which shares no machine code with the others. CUDA C++
/// programming guide, binary compatibility.
bool runsOn(const Arch &target, const Arch &device);
bool runsOn(std::string_view target, std::string_view device);

/// What to compile for a device: "sm_80", "sm_89", and from 9.0 on with the suffix that opens all its instructions.
std::string nativeTarget(const Arch &device);

/// The code of a program, as far as it decides where the program runs.
struct Code {
  Arch target;
  bool complete = false;   // an image of every kernel that it launches; else some must be compiled from their sources
  kernels::Features needs; // of its kernels' instructions
};

/// How well a program suits a device; the highest wins, 0: it does not run. In this order:
///  1. images for exactly the device;
///  2. images of an older minor version (sm_80 on 8.9), the newest first;
///  3. PTX, the newest first, which the driver compiles at load;
///  4. sources, which NVRTC compiles for the device if it has all that they need: those meant for exactly the device,
///     then for its major version, then older ones, each the newest first.
int rankOn(const Code &code, const Arch &device);

} // namespace nanort::cuda
