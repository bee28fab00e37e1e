#include "runtime/weights/values.h"

#include "kernels_templates/sample/philox.h"

#include <cmath>
#include <cstring>

namespace nanort {

static uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text)
    hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

void randomValues(uint64_t seed, std::string_view name, std::span<const uint64_t> shape, uint64_t first,
                  std::span<float> out) {
  const uint64_t mixed = seed ^ fnv1a(name);
  float low = 0.25f, range = 0.5f;
  if (shape.size() == 2) {
    // Uniform in [-a, a] has the standard deviation a / sqrt(3).
    const double a = std::sqrt(3.0 / static_cast<double>(shape[1]));
    low = static_cast<float>(-a);
    range = static_cast<float>(2 * a);
  }
  kernels::PhiloxBlock words{};
  for (size_t j = 0; j < out.size(); ++j) {
    const uint64_t i = first + j;
    if (j == 0 || i % 4 == 0)
      words = kernels::philox({static_cast<uint32_t>(i / 4), static_cast<uint32_t>(i / 4 >> 32), 0, 0},
                              static_cast<uint32_t>(mixed), static_cast<uint32_t>(mixed >> 32));
    // 24 bits fit an f32 exactly; half a step keeps both ends out, so that no value is 0 by accident of a range.
    const float unit = (static_cast<float>(words[i % 4] >> 8) + 0.5f) * 0x1p-24f;
    out[j] = low + range * unit;
  }
}

void ropeRow(double base, uint64_t position, std::span<float> out) {
  const size_t half = out.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    // Upstream rounds the exponent, the power and its reciprocal to f32 one after the other; a single rounding of the
    // whole flips entries of a bf16 table.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(out.size());
    const float frequency = 1.0f / static_cast<float>(std::pow(base, static_cast<double>(exponent)));
    const float angle = static_cast<float>(position) * frequency;
    out[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
    out[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

void store(kernels::DType type, std::span<const float> values, std::byte *out) {
  kernels::byFloat(type, "a constant", [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < values.size(); ++i) {
      const T value = kernels::fromFloat<T>(values[i]);
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
  });
}

} // namespace nanort
