// What the families of common/gemv.cuh share: constraints and launch shape. Cost and CPU references: product.h.
#pragma once

#include "kernels_templates/common/product.h"
#include "kernels_templates/common/tile.h"

namespace kernels {

/// Of the parameters T, K, N and M.
std::string gemvConstraint(const Params &params);
/// As common/gemv.cuh spreads the columns: about one block on each SM of an H100, with its ring of weights.
LaunchShape gemvShape(const Params &params);

} // namespace kernels
