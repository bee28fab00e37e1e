// What the families of common/gemm.cuh share: constraints and launch shape. Cost and CPU references: product.h.
#pragma once

#include "kernels_templates/common/product.h"
#include "kernels_templates/common/tile.h"

namespace kernels {

/// Of the parameters T, K, N, tile_m and tile_n.
std::string gemmConstraint(const Params &params);
/// A block per tile of the `rows` x N outputs.
LaunchShape gemmShape(const Params &params, uint64_t rows);

} // namespace kernels
