#include "kernels_templates/base/require.h"

#include <cstdlib>

namespace kernels {

std::string requireFloat(const Values &params, std::string_view name) {
  const DType type = params.type(name);
  return type == DType::F32 || type == DType::BF16 ? "" : std::string(name) + " must be f32 or bf16";
}

std::string requireBf16(const Values &params, std::string_view name) {
  return params.type(name) == DType::BF16 ? "" : std::string(name) + " must be bf16";
}

std::string requireShared(const Values &params, std::string_view name, uint64_t bytes, uint64_t most) {
  if (bytes <= most)
    return "";
  return std::string(name) + " is " + std::to_string(params[name]) + ", which takes " + std::to_string(bytes) +
         " bytes of shared memory; " + std::to_string(most) + " work";
}

std::string requireRange(const Values &params, std::string_view name, int64_t low, int64_t high) {
  int64_t value = params[name];
  if (value >= low && value <= high)
    return "";
  return std::string(name) + " is " + std::to_string(value) + "; the nearest that works is " +
         std::to_string(value < low ? low : high);
}

std::string requireMultiple(const Values &params, std::string_view name, int64_t of, std::string_view ofName) {
  int64_t value = params[name];
  if (value % of == 0)
    return "";
  int64_t nearest = std::max<int64_t>(1, (value + of / 2) / of) * of;
  return std::string(name) + " is " + std::to_string(value) + ", not a multiple of " + std::string(ofName) +
         "; the nearest that works is " + std::to_string(nearest);
}

std::string requireOneOf(const Values &params, std::string_view name, std::initializer_list<int64_t> choices) {
  const int64_t value = params[name];
  int64_t nearest = *choices.begin();
  for (int64_t choice : choices)
    if (std::abs(choice - value) < std::abs(nearest - value))
      nearest = choice;
  if (value == nearest)
    return "";
  return std::string(name) + " is " + std::to_string(value) + "; the nearest that works is " + std::to_string(nearest);
}

std::string firstOf(std::initializer_list<std::string> violations) {
  for (const std::string &violation : violations)
    if (!violation.empty())
      return violation;
  return "";
}

uint32_t blocksFor(uint64_t work, uint64_t perBlock) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, work / perBlock + (work % perBlock != 0)));
}

LaunchShape blockEach(uint64_t work, uint32_t threads, uint32_t sharedBytes) {
  return {.blocks = blocksFor(work, 1), .threads = threads, .sharedBytes = sharedBytes};
}
LaunchShape threadsFor(uint64_t work) { return {.blocks = blocksFor(work, 256), .threads = 256}; }
LaunchShape warpsFor(uint64_t work) { return {.blocks = blocksFor(work, 4), .threads = 128}; }

int vectorWidth(int64_t width, size_t elementBytes) {
  int lanes = static_cast<int>(16 / elementBytes);
  while (width % lanes != 0)
    lanes /= 2;
  return lanes;
}

// A unit in the last place is up to 2^-23 of an f32, 2^-7 of a bf16, 2^-3 of an e4m3.
double roundingOf(DType type) {
  switch (type) {
  case DType::F32:
    return 4 * 0x1p-23;
  case DType::BF16:
    return 0x1p-7;
  case DType::F8E4M3:
    return 0x1p-3;
  case DType::I32:
  case DType::U32:
    break;
  }
  noElementType("a rounded output", type);
}

double reductionOf(int64_t length) { return static_cast<double>(length) * std::ldexp(1.0, -24); }

} // namespace kernels
