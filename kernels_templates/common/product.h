// What the gemv and gemm families share: cost, error bound, fallback and CPU references of y[rows, N] =
// epilogue(x[rows, K] w[N, K]^T).
#pragma once

#include "kernels_templates/common/describe.h"

namespace kernels {

/// x, w, and `perOutput` bytes for each output; the products, and `flopsPerOutput` besides.
Cost productCost(const Params &params, uint64_t rows, uint64_t perOutput, uint64_t flopsPerOutput);
/// Of the sums relative to their largest; the epilogue's rounding comes on top.
double productReduction(const Params &params);

/// Why products of bf16 miss the tensor cores; empty if they do not. Keep in step with gemvRun and gemmRun.
std::string productFallback(const Params &params);

/// The CPU references of gemv, gemv_add, gemv_mix, gemv_mix_sum and gemv_backout, and of their like for more rows.
void productCpu(const CpuArgs &args, int64_t rows);
void productAddCpu(const CpuArgs &args, int64_t rows);
void productMixCpu(const CpuArgs &args, int64_t rows);
void productMixSumCpu(const CpuArgs &args, int64_t rows);
void productBackoutCpu(const CpuArgs &args, int64_t rows);

} // namespace kernels
