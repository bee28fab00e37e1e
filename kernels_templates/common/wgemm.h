// What the families of common/wgemm.cuh share: constraints, launch shape and tensor maps. Cost and CPU references:
// product.h.
#pragma once

#include "kernels_templates/common/product.h"

namespace kernels {

/// Largest dynamic shared memory of a block on sm_90.
constexpr uint64_t wgemmMostShared = 227 << 10;
/// Bytes of K in a stage of the ring: a row of the 128-byte swizzle.
constexpr uint64_t wgemmRow = 128;

/// Dynamic shared memory of a block, in step with common/wgemm_ring.cuh: a ring of tiles of x and w, staging tiles of
/// up to 32 tokens for the epilogue, the sums that other blocks of the cluster send, sums of squares, barriers.
constexpr uint64_t wgemmShared(uint64_t tileM, uint64_t tileN, uint64_t stages, uint64_t split, bool norm) {
  const uint64_t owned = (tileM / 8 + split - 1) / split; // groups of 8 tokens
  const uint64_t ring = stages * (tileM + tileN) * wgemmRow;
  const uint64_t round = tileN == 192 ? 2 : 4;
  const uint64_t staging = tileN / 64 * 8 * (owned < round ? owned : round) * 68 * 4;
  const uint64_t received = (split - 1) * owned * tileN * 2 * 16;
  const uint64_t squares = norm ? split * owned * 8 * 4 : 0;
  return ring + staging + received + squares + (2 * stages + 3) * 8;
}

/// Of T, K, N, tile_m, tile_n, stages, split, share and blocks.
std::string wgemmConstraint(const Params &params, bool norm);
/// Blocks for the tiles of the `rows` x N outputs: no more than the parameter, and no more than finish as early.
LaunchShape wgemmShape(const Params &params, uint64_t rows, bool norm);
/// Of x[rows, K] and w[N, K], a stage's K a box.
std::vector<TensorMap> wgemmMaps(const Params &params, uint64_t rows);

} // namespace kernels
