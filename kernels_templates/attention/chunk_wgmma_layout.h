// A block's tiles, threads and shared memory in the engine `wgmma` of attention_chunk.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

/// Tiles are cut into pieces of 64 columns (32 if D is not a multiple of 64), all rows of a piece one behind the other,
/// their 16-byte parts permuted by the swizzle of as many bytes as a row has.
struct ChunkWgmmaLayout {
  static constexpr int record = 16; // bytes of a QueryReach and of a KeyTile

  int width, pieces, rowBytes;
  int queryPiece, keyPiece;  // bytes
  int queryBytes, tileBytes; // of a tile of queries, and of one of keys or values
  int groups, threads;       // consumer warpgroups; theirs and the producer's threads
  // Offsets in bytes; two tiles of queries lie at 0, then [stages] keys and values, [2][tileQ] reaches of queries, and
  // of each stage the place of its tile and whose it is; barriers, and the phase of the last one.
  int keys, values, reach, tiles, items, barriers, landings;
  int sharedBytes;

  BOTH constexpr ChunkWgmmaLayout(int D, int tileQ, int tileK, int stages)
      : width(D % 64 == 0 ? 64 : 32), pieces(D / width), rowBytes(2 * width), queryPiece(tileQ * rowBytes),
        keyPiece(tileK * rowBytes), queryBytes(pieces * queryPiece), tileBytes(pieces * keyPiece), groups(tileQ / 64),
        threads(128 * (1 + groups)), keys(2 * queryBytes), values(keys + stages * tileBytes),
        reach(values + stages * tileBytes), tiles(reach + 2 * tileQ * record), items(tiles + stages * record),
        barriers(items + (stages + 1) / 2 * 8), landings(barriers + (7 + 4 * stages) * 8), sharedBytes(landings + 4) {}
};

} // namespace kernels
