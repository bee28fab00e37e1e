// Element types as kernels see them, and their values on the host.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kernels {

/// The numeric values are those of `DType` in plan.fbs.
enum class DType : uint8_t { F32 = 0, BF16 = 1, I32 = 2, U32 = 3, F8E4M3 = 4 };

constexpr size_t sizeOf(DType type) { return type == DType::F8E4M3 ? 1 : type == DType::BF16 ? 2 : 4; }

constexpr std::string_view nameOf(DType type) {
  constexpr std::string_view names[] = {"f32", "bf16", "i32", "u32", "f8e4m3"};
  return names[static_cast<unsigned>(type)];
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

inline float toFloat(float x) { return x; }
inline float toFloat(bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

inline float toFloat(e4m3 x) {
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

} // namespace kernels
