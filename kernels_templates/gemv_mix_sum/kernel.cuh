// gemv_mix_sum<T, K, N, M>: sum[M, N] = r + x[M, K] w[N, K]^T and y = resid[layer] * sum + skip[layer] * x0, M from 1
// to 8. Memory and reductions: common/gemv.cuh; whoever makes an element of y stores that of the sum.
template <typename T, int K, int N, int M>
__device__ void gemv_mix_sum(const T *x, const T *w, const T *r, const T *x0, const float *resid, const float *skip,
                             T *sum, T *y, int layer) {
  gemvRun<T, T, K, N, M, false>(x, w, y, MixSum<T, N>{r, x0, resid + layer, skip + layer, sum});
}
