// The part of host_math that is compiled for AVX2 and FMA. Only raw pointers cross this interface, because an inline
// function of a shared header, instantiated on that side, could replace the portable one at link time.
#pragma once

#include "kernels_templates/base/dtype.h"

#include <cstdint>

namespace nanort {

/// Call once before the others: fixes the blocking, which would otherwise follow this machine's caches and change the
/// order of sums.
void initializeGemm();

/// Columns of y that one call makes; the split is fixed, so that results do not depend on the number of threads.
constexpr int64_t gemmColumns = 64;

/// y[i, j] = sum_k x[i, k] * w[j, k] for i < m and j < columns <= gemmColumns. Rows of x and w are dense, rows of y
/// `stride` floats apart. `scratch`: gemmColumns * k floats for a BF16 w, unused otherwise.
void gemmTile(int64_t m, int64_t columns, int64_t k, const float *x, const void *w, kernels::DType wType, float *y,
              int64_t stride, float *scratch);

} // namespace nanort
