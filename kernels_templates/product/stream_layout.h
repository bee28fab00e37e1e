// How the engine `stream` spreads a product y[M, N] of depth K over blocks, and a block's shared memory.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct StreamLayout {
  static constexpr int warps = 8, consumers = 32 * warps, threads = consumers + 32;
  static constexpr int mostRows = 8;          // of x: an operand of mma m16n8k16 transposed
  static constexpr int sms = 132;             // blocks of a full wave
  static constexpr int mostTiles = 5;         // of 8 columns, whose sums a thread holds at a time
  static constexpr int vectors = 16;          // of 16 bytes that a thread holds, of x and of weights
  static constexpr int mostStages = 32;       // a lane initialises the barriers of each
  static constexpr long long room = 96 << 10; // bytes of the ring and the partial sums, on every target

  long long columns;     // of a block
  long long tiles;       // of at most 8 columns, as even as possible
  long long width;       // columns of a tile
  long long held;        // tiles whose sums a thread holds
  long long chunk;       // of K, in a stage
  long long chunks;      // of K
  long long pitch;       // bytes of a column in a stage: neighbouring rows in other banks
  long long stages;      // of the ring
  long long partials;    // bytes: [warps][held][M][8] floats
  long long barriers;    // offset in bytes: [stages] full, [stages] empty
  long long squares;     // offset: [warps][8] floats
  long long sharedBytes; // on tensor cores; the general path has none

  /// `bytes` of an element of w.
  BOTH constexpr StreamLayout(long long K, long long N, long long M, long long bytes)
      : columns(ceilOf(N, sms)), tiles(ceilOf(columns, 8)), width(ceilOf(columns, tiles)),
        held(ceilOf(tiles, ceilOf(tiles, mostTiles))), chunk(chunkOf(K)), chunks(ceilOf(K, chunk)),
        pitch((chunk + 32) * bytes), stages(0), partials(warps * M * 8 * 4 * held), barriers(0), squares(0),
        sharedBytes(0) {
    stages = leastOf(leastOf(mostStages, tiles * chunks), (room - partials) / (width * pitch));
    barriers = stages * width * pitch + partials;
    squares = barriers + 2 * stages * 8;
    sharedBytes = squares + warps * 8 * 4;
  }

private:
  BOTH static constexpr long long chunkOf(long long K) { // all alike if that is possible
    const long long fewest = ceilOf(K, K > 3840 ? 1024 : 1280);
    for (long long chunks = fewest; chunks < fewest + 3; ++chunks)
      if (K % (chunks * 256) == 0)
        return K / chunks;
    return ceilOf(ceilOf(K, fewest), 256) * 256;
  }
};

} // namespace kernels
