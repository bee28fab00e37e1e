// The devices that code is compiled for: one table (targets.def) of what they can do and how fast.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace kernels {

/// Instructions that some targets have. Whoever asks whether a target can run something asks for these.
enum class Feature : uint32_t {
  Fp8 = 1,            // conversions to e4m3 and mma.sync on it
  Programmatic = 2,   // launches that start before their producers end (griddepcontrol)
  Clusters = 4,       // of blocks
  Tma = 8,            // the copy engine's tensor maps
  Wgmma = 16,         // with setmaxnreg
  Tcgen05 = 32,       // with tensor memory, and block scales of its own
  BlockScaledMma = 64 // mma.sync with block scales, on fp4 too
};

struct Features {
  uint32_t bits = 0;

  constexpr Features() = default;
  constexpr Features(Feature feature) : bits(static_cast<uint32_t>(feature)) {}
  constexpr bool has(Features all) const { return (bits & all.bits) == all.bits; }
  constexpr bool empty() const { return bits == 0; }
  constexpr bool operator==(const Features &) const = default;
};
constexpr Features operator|(Features a, Features b) {
  a.bits |= b.bits;
  return a;
}
constexpr Features operator|(Feature a, Feature b) { return Features(a) | Features(b); }

struct Target {
  std::string_view name;
  uint32_t major, minor; // compute capability
  Features features;
  uint32_t smShared;    // bytes of shared memory of an SM
  uint32_t blockShared; // that a block may have, at most: an SM keeps 1 KiB to itself for each
  uint32_t sms;
  uint64_t l2Bytes;
  double bytesPerUs;   // read bandwidth
  double l2BytesPerUs; // from L2 to the SMs, all together
  double f32FlopsPerUs;
  double bf16FlopsPerUs, fp8FlopsPerUs, fp4FlopsPerUs; // dense, by tensor cores; 0: none for the format
  double warpMmaShare;                                 // of bf16FlopsPerUs that mma.sync reaches
  double launchUs;                                     // from one dependent launch to the next in a graph
  double earlyUs;                                      // the same over a programmatic edge

  constexpr bool has(Features all) const { return features.has(all); }
  /// PTX, which the driver compiles for its device, rather than machine code.
  constexpr bool isPtx() const { return name.starts_with("compute_"); }
};

inline constexpr std::array targets = {
#define TARGET(name, major, minor, features, kib, sms, mib, tbs, l2tbs, f32, bf16, fp8, fp4, share, launch, early)     \
  Target{name,    major,     minor,   features, (kib) << 10, ((kib)-1) << 10, sms,   uint64_t{mib} << 20,              \
         tbs##e6, l2tbs##e6, f32##e6, bf16##e6, fp8##e6,     fp4##e6,         share, launch,                           \
         early},
#define SERVED(major, minor, name)
#include "kernels_templates/base/targets.def"
#undef TARGET
#undef SERVED
};

/// Null for "cpu" and for whatever is not in the table.
constexpr const Target *findTarget(std::string_view name) {
  for (const Target &target : targets)
    if (target.name == name)
      return &target;
  return nullptr;
}

/// The least shared memory of a block on any target with these features.
constexpr uint32_t leastBlockShared(Features features = {}) {
  uint32_t least = UINT32_MAX;
  for (const Target &target : targets)
    if (target.has(features))
      least = std::min(least, target.blockShared);
  return least;
}
/// The most on any.
constexpr uint32_t mostBlockShared() {
  uint32_t most = 0;
  for (const Target &target : targets)
    most = std::max(most, target.blockShared);
  return most;
}

/// Half of an SM's shared memory and registers, on devices with programmatic launches. Two launches that a programmatic
/// edge joins keep to it, or the second could not become resident beside the first (kernels_templates/cuda-rules.md,
/// rule 6).
inline constexpr uint32_t halfSmShared = (findTarget("sm_90a")->blockShared - (1 << 10)) / 2,
                          halfSmRegisters = 32 << 10;

/// What a device of a compute capability can do, in or out of the table.
Features featuresOf(uint32_t major, uint32_t minor);

/// "wgmma and TMA": what `needed` has beyond `had`; empty if nothing.
std::string missing(Features had, Features needed);
/// Empty if code that needs these features runs on the target ("cpu": any does), otherwise what the target lacks:
/// "needs wgmma and TMA, which sm_80 lacks".
std::string featureFault(std::string_view target, Features needed);
/// Empty, or why no block with so many bytes of shared memory runs on the target, with the remedy.
std::string sharedFault(std::string_view target, uint32_t bytes);

/// Empty if a plan may have a program for `target`: one of the table's, or "cpu". Otherwise a message that says by
/// which target the device is served, or lists them.
std::string targetFault(std::string_view target);

} // namespace kernels
