// Pieces that the descriptions of meanings and engines share: constraints, launch shapes and error bounds.
#pragma once

#include "kernels_templates/base/catalogue.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace kernels {

// Constraints: empty if satisfied, otherwise the violation and the nearest value that works.
std::string requireFloat(const Values &params, std::string_view name);
std::string requireBf16(const Values &params, std::string_view name);
std::string requireRange(const Values &params, std::string_view name, int64_t low, int64_t high);
std::string requireMultiple(const Values &params, std::string_view name, int64_t of, std::string_view ofName);
std::string requireOneOf(const Values &params, std::string_view name, std::initializer_list<int64_t> choices);
/// `bytes` of shared memory, of which `name` decides, are at most `most`.
std::string requireShared(const Values &params, std::string_view name, uint64_t bytes, uint64_t most);
std::string firstOf(std::initializer_list<std::string> violations);

/// Largest extent of one template dimension: products of two and a token count stay far inside 64-bit offsets.
constexpr int64_t maxExtent = 1 << 24;

constexpr uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/// At least one.
uint32_t blocksFor(uint64_t work, uint64_t perBlock);
/// A block of `threads` for each unit of work.
LaunchShape blockEach(uint64_t work, uint32_t threads, uint32_t sharedBytes = 0);
/// One thread per unit of work, 256 a block (Grid::thread() on the device).
LaunchShape threadsFor(uint64_t work);
/// One warp per unit of work, 4 a block (Grid::warp() on the device).
LaunchShape warpsFor(uint64_t work);
/// The device's vectorOf(): elements per load of at most 16 bytes that tile a row of `width`.
int vectorWidth(int64_t width, size_t elementBytes);

// Error bounds, relative to the output's largest magnitude.

/// Two correct f32 results may round to neighbours at the store: one unit in the last place; for f32 four,
/// since expf, tanhf and rsqrtf of the two sides differ by up to two each.
double roundingOf(DType type);
/// A reordered f32 sum of `length` products. The worst case grows with length * sum|terms|, but errors of mixed sign
/// and sums near the output's maximum both grow with sqrt(length), which leaves length * 2^-24.
double reductionOf(int64_t length);

} // namespace kernels
