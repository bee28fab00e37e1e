// Element types as kernels see them, and bf16 on the host.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kernels {

/// The numeric values are those of `DType` in plan.fbs.
enum class DType : uint8_t { F32 = 0, BF16 = 1, I32 = 2, U32 = 3 };

constexpr size_t sizeOf(DType type) { return type == DType::BF16 ? 2 : 4; }

constexpr std::string_view nameOf(DType type) {
  constexpr std::string_view names[] = {"f32", "bf16", "i32", "u32"};
  return names[static_cast<unsigned>(type)];
}

/// A bf16 value in memory: the upper half of an f32.
struct bf16 {
  uint16_t bits;
};

inline float toFloat(float x) { return x; }
inline float toFloat(bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

/// Round to nearest, ties to even; NaN stays NaN.
inline bf16 roundToBf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u)
    return {static_cast<uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

template <typename T> T fromFloat(float x);
template <> inline float fromFloat<float>(float x) { return x; }
template <> inline bf16 fromFloat<bf16>(float x) { return roundToBf16(x); }

} // namespace kernels
