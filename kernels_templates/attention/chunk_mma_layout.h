// A block's tiles, threads and shared memory in the engine `mma` of attention_chunk.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct ChunkMmaLayout {
  static constexpr int own = 16;                          // queries of a warp
  static constexpr int tileRecord = 32, reachRecord = 12; // bytes of a ChunkMmaTile and of a ChunkMmaReach

  bool permuted; // rows are whole 128 bytes; others are padded
  int rowBytes;  // of a tile
  int tileBytes; // of keys, or of values
  int warps, threads;
  int places; // of tiles: those whose copies are under way, and the one whose scores are computed
  // Offsets in bytes; queries lie at 0, keys and values [stages][tileBytes].
  int keys, values, tiles, reach, begins;
  int sharedBytes;

  BOTH constexpr ChunkMmaLayout(int D, int tileQ, int tileK, int stages)
      : permuted(D % 64 == 0), rowBytes(2 * D + (permuted ? 0 : 16)), tileBytes(tileK * rowBytes), warps(tileQ / own),
        threads(32 * warps), places(stages + 1), keys(tileQ * rowBytes), values(keys + stages * tileBytes),
        tiles(values + stages * tileBytes), reach(tiles + places * tileRecord), begins(reach + tileQ * reachRecord),
        sharedBytes(begins + tileQ / 32 * 4) {}
};

} // namespace kernels
