// gemm_mix_sum<T, K, N, tile_m, tile_n>: sum[n, N] = r + x[n, K] w[N, K]^T and y = resid[layer] * sum + skip[layer] *
// x0. Memory and reductions: common/gemm.cuh; whoever makes an element of y stores that of the sum.
template <typename T, int K, int N, int tile_m, int tile_n>
__device__ void gemm_mix_sum(const T *x, const T *w, const T *r, const T *x0, const float *resid, const float *skip,
                             T *sum, T *y, int layer, int n) {
  gemmRun<T, T, K, N, tile_m, tile_n, false>(x, w, y, n, MixSum<T, N>{r, x0, resid + layer, skip + layer, sum});
}
