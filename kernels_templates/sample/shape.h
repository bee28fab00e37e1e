// How the blocks of sample share its rows, as in common/sample.cuh; the compiler sizes its buffers by it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kernels::sample {

constexpr uint64_t threads = 256;
constexpr uint64_t columns = threads * 8; // a slice is a multiple of so many
constexpr uint64_t few = 64;              // candidates of a block for a small top_k
constexpr uint64_t mostSlices = 128;      // whose candidates one block can merge
/// As many as an H100 holds at once, three an SM: more rows make longer slices, since what a block does at its end
/// costs more than its columns do.
constexpr uint64_t mostBlocks = 396;

constexpr uint64_t tilesOf(uint64_t V) { return (V + columns - 1) / columns; }

/// Blocks of a row, each of as many tiles.
constexpr uint64_t slicesOf(uint64_t V, uint64_t rows) {
  const uint64_t tiles = tilesOf(V), most = std::max<uint64_t>(mostBlocks / std::max<uint64_t>(rows, 1), 1);
  const uint64_t tilesOfSlice = (tiles + most - 1) / most;
  return (tiles + tilesOfSlice - 1) / tilesOfSlice;
}

/// 32-bit words of one row's partial results: two a candidate, four for a choice.
constexpr uint64_t partialWords(uint64_t V, uint64_t rows) {
  return slicesOf(V, rows) * (tilesOf(V) <= mostSlices ? 2 * few : 4);
}

} // namespace kernels::sample
