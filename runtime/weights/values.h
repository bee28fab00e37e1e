// The numbers behind constants that no file holds: random parameters and rotary tables; and how floats are stored.
#pragma once

#include "kernels_templates/base/dtype.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nanort {

/// Elements [first, first + out.size()) of a random parameter: matrices [n, k] are uniform with standard deviation
/// 1/sqrt(k), everything else is uniform in [0.25, 0.75]. Element i is word i % 4 of Philox's counter i / 4.
void randomValues(uint64_t seed, std::string_view name, std::span<const uint64_t> shape, uint64_t first,
                  std::span<float> out);

/// One row of a rotary table, as upstream computes it: the exponent 2i/D, base to its power, the inverse, that times
/// the position, cos and sin are each rounded to f32. `out` has D elements: cosines, then sines.
void ropeRow(double base, uint64_t position, std::span<float> out);

/// Values as elements of a float type (to nearest, ties to even), at `out`.
void store(kernels::DType type, std::span<const float> values, std::byte *out);

} // namespace nanort
