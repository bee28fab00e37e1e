#include "runtime/cuda/arch.h"

#include <cctype>

namespace nanort::cuda {

std::optional<Arch> parseArch(std::string_view text) {
  if (!text.starts_with("sm_"))
    return std::nullopt;
  text.remove_prefix(3);
  Arch arch;
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

bool cubinFits(const Arch &target, const Arch &device) {
  if (target.major != device.major)
    return false;
  return target.suffix == "a" ? target.minor == device.minor : target.minor <= device.minor;
}

bool cubinFits(std::string_view target, std::string_view device) {
  std::optional<Arch> from = parseArch(target), to = parseArch(device);
  return from && to && cubinFits(*from, *to);
}

std::string nativeTarget(const Arch &device) {
  return "sm_" + std::to_string(device.major * 10 + device.minor) + (device.major >= 9 ? "a" : "");
}

} // namespace nanort::cuda
