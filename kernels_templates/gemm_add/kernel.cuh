// gemm_add<T, K, N, tile_m, tile_n>: y[n, N] = r + x[n, K] w[N, K]^T.
// Memory and reductions: common/gemm.cuh.
template <typename T, int K, int N, int tile_m, int tile_n>
__device__ void gemm_add(const T *x, const T *w, const T *r, T *y, int n) {
  gemmRun<T, T, K, N, tile_m, tile_n, false>(x, w, y, n, Residual<T, N>{r});
}
