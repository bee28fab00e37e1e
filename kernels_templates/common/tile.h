// How a product y[M, N] = x w^T is spread: which family serves it, and by which tiles.
#pragma once

#include <array>
#include <cstdint>

namespace kernels {

/// Token slots that the gemv families serve, for which streaming the weights is all the work; beyond, gemm's tiles do.
constexpr int64_t gemvRows = 8;

struct Tile {
  int64_t rows, columns;
};

/// Every tile of the gemm families, large to small.
constexpr std::array<Tile, 5> gemmTiles = {Tile{128, 128}, Tile{128, 64}, Tile{64, 64}, Tile{32, 64}, Tile{32, 32}};

/// The largest tile that neither wastes half of its rows nor leaves an H100's SMs idle; a small one for what is small.
/// A result does not depend on it (common/gemm.cuh).
constexpr Tile gemmTile(int64_t M, int64_t N) {
  constexpr int64_t enoughBlocks = 120; // of 132 SMs
  for (Tile tile : gemmTiles) {
    const int64_t blocks = (M + tile.rows - 1) / tile.rows * ((N + tile.columns - 1) / tile.columns);
    if (2 * M > tile.rows && blocks >= enoughBlocks)
      return tile;
  }
  return gemmTiles.back();
}

} // namespace kernels
