// How the blocks of the sampler share its rows, and a block's shared memory. The compiler sizes the scratch by it.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct SampleLayout {
  static constexpr int threads = 256, warps = threads / 32;
  static constexpr int perThread = 8;                 // columns of a tile that a thread has
  static constexpr int columns = threads * perThread; // of a tile
  static constexpr int few = 64;                      // candidates of a block for a small top_k
  static constexpr int mostSlices = 128;              // whose candidates one block can merge
  /// As many as an H100 holds at once, three an SM: more rows make longer slices, since what a block does at its end
  /// costs more than its columns do.
  static constexpr int mostBlocks = 396;

  // Shared memory: offsets in bytes, of one thing each; arrays at multiples of 16, for loads of so many.
  static constexpr int half = threads / 4, pitch = half + 2; // halves of the pairs' orders, in different banks
  static constexpr int orders = 0;                           // [2][pitch] orders of pairs of threads
  static constexpr int top = orders + 2 * pitch * 8;         // [few] orders
  static constexpr int largest = top + few * 8;              // [warps] orders
  static constexpr int scores = largest + warps * 8;         // [warps] doubles
  static constexpr int ids = scores + warps * 8;             // [warps] ints
  static constexpr int fastScores = ids + warps * 4;         // [few] floats
  static constexpr int maxima = fastScores + few * 4;        // [warps] floats
  static constexpr int holders = maxima + warps * 4;         // [threads] ints
  static constexpr int counts = holders + threads * 4;       // [256] ints, of a digit's values
  static constexpr int bound = counts + 256 * 4;             // an order
  static constexpr int digit = bound + 8, above = digit + 4, passedCount = above + 4, last = passedCount + 4;
  static constexpr int passed = (last + 4 + 15) / 16 * 16; // [capacity] orders

  long long tiles;      // of a row; a slice is some of them
  bool merges;          // one block can merge the candidates of all slices
  long long sliceWords; // 32-bit words of a slice's partial results: two a candidate, four for a choice
  long long items;      // candidates that a thread has when it merges
  // Room for orders that may be among the largest of a slice, and among those of all slices.
  static constexpr int sliceCapacity = perThread * few;
  long long mergeCapacity;
  long long sharedBytes;

  BOTH constexpr explicit SampleLayout(long long V)
      : tiles(ceilOf(V, columns)), merges(tiles <= mostSlices), sliceWords(merges ? 2 * few : 4),
        items(merges ? ceilOf(tiles * few, threads) : 0), mergeCapacity(2 * items * few),
        sharedBytes(passed + (merges ? 8 * mostOf(sliceCapacity, mergeCapacity) : 0)) {}

  /// Blocks of a row, each of as many tiles.
  BOTH constexpr long long slices(long long rows) const {
    return ceilOf(tiles, ceilOf(tiles, mostOf(mostBlocks / mostOf(rows, 1), 1)));
  }
  /// 32-bit words of one row's partial results.
  BOTH constexpr long long partialWords(long long rows) const { return slices(rows) * sliceWords; }
};

} // namespace kernels
