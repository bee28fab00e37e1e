// gemm_mix<T, K, N, tile_m, tile_n>: y[n, N] = resid[layer] * (r + x[n, K] w[N, K]^T) + skip[layer] * x0.
// Memory and reductions: common/gemm.cuh.
template <typename T, int K, int N, int tile_m, int tile_n>
__device__ void gemm_mix(const T *x, const T *w, const T *r, const T *x0, const float *resid, const float *skip, T *y,
                         int layer, int n) {
  gemmRun<T, T, K, N, tile_m, tile_n, false>(x, w, y, n, Mix<T, N>{r, x0, resid + layer, skip + layer});
}
