#include "kernels_templates/common/describe.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace kernels {

int64_t Params::operator[](std::string_view name) const {
  for (const auto &[key, value] : values)
    if (key == name)
      return value;
  std::fprintf(stderr, "kernel parameter '%.*s' does not exist\n", static_cast<int>(name.size()), name.data());
  std::abort();
}

DType elementType(const ArgDecl &arg, const Params &params) {
  for (DType type : {DType::F32, DType::BF16, DType::I32, DType::U32})
    if (arg.type == nameOf(type))
      return type;
  return params.type(arg.type);
}

std::vector<std::pair<uint32_t, TensorMap>> tensorMaps(const Family &family, const Params &params,
                                                       std::span<const Scalar> scalars, const Limits &limits) {
  std::vector<std::pair<uint32_t, TensorMap>> result;
  if (!family.maps)
    return result;
  std::vector<TensorMap> maps = family.maps(params, scalars, limits);
  for (uint32_t arg = 0; arg < family.args.size(); ++arg)
    if (family.args[arg].mapped)
      result.emplace_back(arg, std::move(maps[result.size()]));
  return result;
}

std::string fallbackOf(const Family &family, const Params &params) {
  return family.fallback ? family.fallback(params) : "";
}

std::string requireFloat(const Params &params, std::string_view name) {
  int64_t type = params[name];
  if (type == static_cast<int64_t>(DType::F32) || type == static_cast<int64_t>(DType::BF16))
    return "";
  return std::string(name) + " must be f32 or bf16";
}

std::string requireBf16(const Params &params, std::string_view name) {
  return params.type(name) == DType::BF16 ? "" : std::string(name) + " must be bf16";
}

std::string requireShared(const Params &params, std::string_view name, uint64_t bytes, uint64_t most) {
  if (bytes <= most)
    return "";
  return std::string(name) + " is " + std::to_string(params[name]) + ", which takes " + std::to_string(bytes) +
         " bytes of shared memory; " + std::to_string(most) + " work";
}

std::string requireRange(const Params &params, std::string_view name, int64_t low, int64_t high) {
  int64_t value = params[name];
  if (value >= low && value <= high)
    return "";
  return std::string(name) + " is " + std::to_string(value) + "; the nearest that works is " +
         std::to_string(value < low ? low : high);
}

std::string requireMultiple(const Params &params, std::string_view name, int64_t of, std::string_view ofName) {
  int64_t value = params[name];
  if (value % of == 0)
    return "";
  int64_t nearest = std::max<int64_t>(1, (value + of / 2) / of) * of;
  return std::string(name) + " is " + std::to_string(value) + ", not a multiple of " + std::string(ofName) +
         "; the nearest that works is " + std::to_string(nearest);
}

std::string firstOf(std::initializer_list<std::string> violations) {
  for (const std::string &violation : violations)
    if (!violation.empty())
      return violation;
  return "";
}

LaunchShape threadsFor(uint64_t work) {
  LaunchShape shape;
  shape.block[0] = 256;
  shape.grid[0] = blocksFor(work, 256);
  return shape;
}

LaunchShape warpsFor(uint64_t work) {
  LaunchShape shape;
  shape.block[0] = 128;
  shape.grid[0] = blocksFor(work, 4);
  return shape;
}

uint32_t blocksFor(uint64_t work, uint64_t perBlock) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (work + perBlock - 1) / perBlock));
}

int vectorWidth(int64_t width, size_t elementBytes) {
  int lanes = static_cast<int>(16 / elementBytes);
  while (width % lanes != 0)
    lanes /= 2;
  return lanes;
}

// A unit in the last place is up to 2^-7 of a bf16 and 2^-23 of an f32.
double roundingOf(DType type) { return type == DType::BF16 ? std::ldexp(1.0, -7) : 4 * std::ldexp(1.0, -23); }

double reductionOf(int64_t length) { return static_cast<double>(length) * std::ldexp(1.0, -24); }

} // namespace kernels
