// The element types: one table, and their values on the host.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

namespace kernels {

/// One row a type; all else that depends on it is a switch without a default, which the build holds to be exhaustive
/// (-Werror=switch), so that the compiler lists what a new row needs.
///
/// Columns: enumerator; number, which is that of `DType` in plan.fbs; bits; Float or Integer; name in plans, kernels'
/// names and reports; name in device code; name in safetensors; number among CUtensorMapDataType (cuda.h; a type that
/// the copy engine does not know goes as unsigned integers of its size); number among cudaDataType (library_types.h).
#define NANO_ELEMENT_TYPES(X)                                                                                          \
  X(F32, 0, 32, Float, "f32", "float", "F32", 7, 0)                                                                    \
  X(BF16, 1, 16, Float, "bf16", "bf16", "BF16", 9, 14)                                                                 \
  X(I32, 2, 32, Integer, "i32", "int", "I32", 3, 10)                                                                   \
  X(U32, 3, 32, Integer, "u32", "unsigned", "U32", 2, 12)                                                              \
  X(F8E4M3, 4, 8, Float, "f8e4m3", "e4m3", "F8_E4M3", 0, 28)

enum class DType : uint8_t {
#define X(type, number, ...) type = number,
  NANO_ELEMENT_TYPES(X)
#undef X
};

enum class ElementKind : uint8_t { Float, Integer };

struct ElementType {
  DType type;
  uint32_t bits;
  ElementKind kind;
  std::string_view name, deviceName, safetensors;
  int tensorMapType, cudaType;
};

/// In the order of their numbers, which start at 0 and leave none out.
inline constexpr std::array elementTypes = {
#define X(type, number, bits, kind, ...) ElementType{DType::type, bits, ElementKind::kind, __VA_ARGS__},
    NANO_ELEMENT_TYPES(X)
#undef X
};

/// Whether a number from a file is a type's.
constexpr bool isElementType(int64_t number) { return number >= 0 && number < std::ssize(elementTypes); }

constexpr const ElementType &infoOf(DType type) { return elementTypes[static_cast<size_t>(type)]; }
constexpr std::string_view nameOf(DType type) { return infoOf(type).name; }
constexpr bool isFloat(DType type) { return infoOf(type).kind == ElementKind::Float; }
constexpr bool isWholeBytes(DType type) { return infoOf(type).bits % 8 == 0; }

/// Of `count` elements in a dense array, whose last byte may be part empty; UINT64_MAX if there are too many to count.
constexpr uint64_t bytesOf(DType type, uint64_t count) {
  const uint64_t bits = infoOf(type).bits;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(count / 8, bits, &bytes) ||
      __builtin_add_overflow(bytes, (count % 8 * bits + 7) / 8, &bytes))
    return UINT64_MAX;
  return bytes;
}
/// Elements of a dense array that `bytes` have room for.
constexpr uint64_t elementsIn(DType type, uint64_t bytes) {
  return bytes / infoOf(type).bits * 8 + bytes % infoOf(type).bits * 8 / infoOf(type).bits;
}

/// Ends the process: code met a type that its callers were to keep from it. A bug, not bad input.
[[noreturn]] inline void noElementType(std::string_view where, DType type) {
  const std::string_view name = isElementType(static_cast<int64_t>(type)) ? nameOf(type) : "of an unknown type";
  std::fprintf(stderr, "%.*s has no elements %.*s\n", static_cast<int>(where.size()), where.data(),
               static_cast<int>(name.size()), name.data());
  std::abort();
}

/// Bytes of one element, of a type that has whole ones; bytesOf() knows all.
constexpr size_t sizeOf(DType type) {
  if (!isWholeBytes(type))
    noElementType("sizeOf", type);
  return infoOf(type).bits / 8;
}

/// The type that safetensors, or a plan's text, calls so.
constexpr std::optional<DType> fromSafetensors(std::string_view name) {
  for (const ElementType &type : elementTypes)
    if (type.safetensors == name)
      return type.type;
  return std::nullopt;
}
constexpr std::optional<DType> fromName(std::string_view name) {
  for (const ElementType &type : elementTypes)
    if (type.name == name)
      return type.type;
  return std::nullopt;
}

/// A bf16 value in memory: the upper half of an f32.
struct bf16 {
  uint16_t bits;
};

/// An 8-bit float in memory: sign, four bits of exponent (bias 7), three of mantissa; no infinity, NaN is 0x7f. OCP
/// 8-bit floating point specification, E4M3.
struct e4m3 {
  uint8_t bits;
};
inline constexpr float largestE4m3 = 448;

constexpr float toFloat(float x) { return x; }
constexpr float toFloat(bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
constexpr float toFloat(e4m3 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x80) << 24, magnitude = x.bits & 0x7f;
  if (magnitude == 0x7f)
    return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude < 8) // subnormal: multiples of 2^-9
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-9f));
  return std::bit_cast<float>(sign | ((magnitude + (120 << 3)) << 20));
}

/// Round to nearest, ties to even; NaN stays NaN.
inline bf16 roundToBf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u)
    return {static_cast<uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

/// As cvt.rn.satfinite does on the device: to nearest, ties to even; what is larger than 448 becomes 448, infinity too,
/// and every NaN 0x7f.
inline e4m3 roundToE4m3(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x), magnitude = u & 0x7fffffffu;
  const uint8_t sign = static_cast<uint8_t>(u >> 24 & 0x80u);
  if (magnitude > 0x7f800000u)
    return {0x7f};
  if (magnitude >= std::bit_cast<uint32_t>(largestE4m3))
    return {static_cast<uint8_t>(sign | 0x7e)};
  if (magnitude < std::bit_cast<uint32_t>(0x1p-6f)) { // subnormal: the sum's last bit is worth 2^-9
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return {static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p14f)))};
  }
  const uint32_t rounded = (magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20;
  return {static_cast<uint8_t>(sign | (rounded - (120 << 3)))};
}

template <typename T> T fromFloat(float x);
template <> inline float fromFloat<float>(float x) { return x; }
template <> inline bf16 fromFloat<bf16>(float x) { return roundToBf16(x); }
template <> inline e4m3 fromFloat<e4m3>(float x) { return roundToE4m3(x); }

/// Calls f with a zero of a float type's host type: byFloat(type, [&](auto zero) { using T = decltype(zero); ... }).
/// `where` is named if the type is an integer's, which ends the process.
template <typename F> void byFloat(DType type, std::string_view where, F &&f) {
  switch (type) {
  case DType::F32:
    return f(0.0f);
  case DType::BF16:
    return f(bf16{});
  case DType::F8E4M3:
    return f(e4m3{});
  case DType::I32:
  case DType::U32:
    break;
  }
  noElementType(where, type);
}

/// Element `i` of a dense array of floats, aligned or not.
inline float floatAt(DType type, const std::byte *array, size_t i) {
  float result = 0;
  byFloat(type, "floatAt", [&](auto value) {
    std::memcpy(&value, array + i * sizeof value, sizeof value);
    result = toFloat(value);
  });
  return result;
}

} // namespace kernels
