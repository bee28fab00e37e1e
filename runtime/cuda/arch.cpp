#include "runtime/cuda/arch.h"

#include <cctype>

namespace nanort::cuda {

std::optional<Arch> parseArch(std::string_view text) {
  Arch arch;
  arch.ptx = text.starts_with("compute_");
  if (!arch.ptx && !text.starts_with("sm_"))
    return std::nullopt;
  text.remove_prefix(arch.ptx ? 8 : 3);
  if (!text.empty() && (text.back() == 'a' || text.back() == 'f')) {
    arch.suffix = text.back();
    text.remove_suffix(1);
  }
  if (text.size() < 2 || text.size() > 3)
    return std::nullopt;
  int number = 0;
  for (char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c)))
      return std::nullopt;
    number = number * 10 + (c - '0');
  }
  arch.major = number / 10;
  arch.minor = number % 10;
  return arch;
}

bool runsOn(const Arch &target, const Arch &device) {
  if (target.ptx && target.suffix.empty())
    return !target.newerThan(device);
  if (target.major != device.major)
    return false;
  auto isTegra = [](const Arch &arch) { return arch.major == 8 && arch.minor == 7; };
  if (target.suffix == "a" || isTegra(target) || isTegra(device))
    return target.minor == device.minor;
  return target.minor <= device.minor;
}

bool runsOn(std::string_view target, std::string_view device) {
  std::optional<Arch> from = parseArch(target), to = parseArch(device);
  return from && to && runsOn(*from, *to);
}

std::string nativeTarget(const Arch &device) {
  return "sm_" + std::to_string(device.major * 10 + device.minor) + (device.major >= 9 ? "a" : "");
}

int rankOn(const Code &code, const Arch &device) {
  constexpr int image = 1 << 14, ptx = 1 << 13, exact = 1 << 12, sameMajor = 1 << 11; // above any version
  if (code.target.newerThan(device))
    return 0;
  const int version = code.target.major * 16 + code.target.minor; // 1 at least, and below 1 << 11
  const bool same = code.target.major == device.major && code.target.minor == device.minor;
  if (code.complete && runsOn(code.target, device))
    return version + (code.target.ptx ? ptx : image);
  if (!kernels::featuresOf(static_cast<uint32_t>(device.major), static_cast<uint32_t>(device.minor)).has(code.needs))
    return 0;
  return version + (same ? exact : 0) + (code.target.major == device.major ? sameMajor : 0);
}

} // namespace nanort::cuda
