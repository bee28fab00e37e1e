// What the families of common/gemv.cuh share: constraints, launch shape, cost, and the sums of their CPU references.
#pragma once

#include "kernels_templates/common/describe.h"

#include <memory>

namespace kernels {

/// Token slots that a family of this kind serves; beyond, a product is no longer bound by its weights alone.
constexpr int64_t gemvRows = 8;

/// Of the parameters T, K, N and M.
std::string gemvConstraint(const Params &params);
/// As common/gemv.cuh spreads the columns: about one block on each SM of an H100, with its ring of weights.
LaunchShape gemvShape(const Params &params);
/// x, w, and `perOutput` bytes for each output; the products, and `flopsPerOutput` besides.
Cost gemvCost(const Params &params, uint64_t perOutput, uint64_t flopsPerOutput);
/// Of the sums relative to their largest; the epilogue's rounding comes on top.
double gemvReduction(const Params &params);

/// x w^T in f32, each row scaled by rsqrt(mean(x[row]^2) + 2^-23) if `norm`. Buffers 0 and 1 are x and w.
std::unique_ptr<float[]> gemvSums(const CpuArgs &args, bool norm);

} // namespace kernels
