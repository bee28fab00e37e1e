#include "runtime/executor/host_gemm.h"

#include <Eigen/Core>

#include <cstdlib>
#include <type_traits>

namespace nanort {

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline float widen(float x) { return x; }
inline float widen(kernels::bf16 x) { return Eigen::numext::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

/// All values of an e4m3, made when this file is compiled: it calls no inline function that others share.
struct E4m3Values {
  float of[256] = {};
  constexpr E4m3Values() {
    for (int bits = 0; bits < 256; ++bits)
      of[bits] = kernels::toFloat(kernels::e4m3{static_cast<uint8_t>(bits)});
  }
};
constexpr E4m3Values e4m3Values;
inline float widen(kernels::e4m3 x) { return e4m3Values.of[x.bits]; }

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

template <typename W>
static void tileOf(int64_t m, int64_t columns, int64_t k, const float *x, const W *w, float *y, int64_t stride,
                   float *scratch) {
  if (m <= 4)
    return fewRows(m, columns, k, x, w, y, stride);
  const float *wide = scratch;
  if constexpr (std::is_same_v<W, float>)
    wide = w;
  else
    for (int64_t i = 0; i < columns * k; ++i)
      scratch[i] = widen(w[i]);
  Eigen::Map<const Matrix> a(x, m, k), b(wide, columns, k);
  Eigen::Map<Matrix, 0, Eigen::OuterStride<>> c(y, m, columns, Eigen::OuterStride<>(stride));
  c.noalias() = a * b.transpose();
}

void gemmTile(int64_t m, int64_t columns, int64_t k, const float *x, const void *w, kernels::DType wType, float *y,
              int64_t stride, float *scratch) {
  switch (wType) {
  case kernels::DType::F32:
    return tileOf(m, columns, k, x, static_cast<const float *>(w), y, stride, scratch);
  case kernels::DType::BF16:
    return tileOf(m, columns, k, x, static_cast<const kernels::bf16 *>(w), y, stride, scratch);
  case kernels::DType::F8E4M3:
    return tileOf(m, columns, k, x, static_cast<const kernels::e4m3 *>(w), y, stride, scratch);
  case kernels::DType::I32:
  case kernels::DType::U32:
    break;
  }
  std::abort(); // a bug: no product has such weights
}

} // namespace nanort
