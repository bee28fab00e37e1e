// gemm_backout<T, K, N, tile_m, tile_n>: y[n, N] = r + x[n, K] w[N, K]^T - lambda * mid.
// Memory and reductions: common/gemm.cuh.
template <typename T, int K, int N, int tile_m, int tile_n>
__device__ void gemm_backout(const T *x, const T *w, const T *r, const T *mid, const float *lambda, T *y, int n) {
  gemmRun<T, T, K, N, tile_m, tile_n, false>(x, w, y, n, Backout<T, N>{r, mid, lambda});
}
