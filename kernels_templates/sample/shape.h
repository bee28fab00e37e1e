// How sample spreads a row over blocks, as in its kernel.cuh; the compiler sizes its buffers by it.
#pragma once

#include <cstdint>

namespace kernels::sample {

constexpr uint64_t threads = 256;
constexpr uint64_t columns = threads * 8; // of a block
constexpr uint64_t few = 64;              // candidates of a block for a small top_k
constexpr uint64_t mostSlices = 128;      // whose candidates one block can merge

/// Blocks of a row.
constexpr uint64_t slicesOf(uint64_t V) { return (V + columns - 1) / columns; }

/// 32-bit words of one row's partial results: two a candidate, four for a choice.
constexpr uint64_t partialWords(uint64_t V) {
  const uint64_t slices = slicesOf(V);
  return slices * (slices <= mostSlices ? 2 * few : 4);
}

} // namespace kernels::sample
