#include "runtime/executor/host_gemm.h"

#include <Eigen/Core>

namespace nanort {

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline float widen(float x) { return x; }
inline float widen(kernels::bf16 x) { return Eigen::numext::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

/// Few rows are bound by reading w: one pass over it, 32 running sums (four AVX registers) to hide the latency of FMA.
template <typename W>
void fewRows(int64_t m, int64_t columns, int64_t k, const float *x, const W *w, float *y, int64_t stride) {
  constexpr int lanes = 32;
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = 0; i < m; ++i) {
      const float *a = x + i * k;
      const W *b = w + j * k;
      float sums[lanes] = {};
      int64_t p = 0;
      for (; p + lanes <= k; p += lanes)
        for (int l = 0; l < lanes; ++l)
          sums[l] += a[p + l] * widen(b[p + l]);
      float total = 0;
      for (; p < k; ++p)
        total += a[p] * widen(b[p]);
      for (int half = lanes / 2; half > 0; half /= 2) // a tree: 32 additions in a row take as long as a short dot
        for (int l = 0; l < half; ++l)
          sums[l] += sums[l + half];
      y[i * stride + j] = total + sums[0];
    }
}

} // namespace

void initializeGemm() { Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 4 << 20); }

void gemmTile(int64_t m, int64_t columns, int64_t k, const float *x, const void *w, kernels::DType wType, float *y,
              int64_t stride, float *scratch) {
  const bool narrow = wType == kernels::DType::BF16;
  const auto *bits = static_cast<const kernels::bf16 *>(w);
  const auto *wide = static_cast<const float *>(w);
  if (m <= 4) {
    if (narrow)
      fewRows(m, columns, k, x, bits, y, stride);
    else
      fewRows(m, columns, k, x, wide, y, stride);
    return;
  }
  if (narrow) {
    for (int64_t i = 0; i < columns * k; ++i)
      scratch[i] = widen(bits[i]);
    wide = scratch;
  }
  Eigen::Map<const Matrix> a(x, m, k), b(wide, columns, k);
  Eigen::Map<Matrix, 0, Eigen::OuterStride<>> c(y, m, columns, Eigen::OuterStride<>(stride));
  c.noalias() = a * b.transpose();
}

} // namespace nanort
