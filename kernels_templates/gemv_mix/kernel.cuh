// gemv_mix<T, K, N, M>: y[M, N] = resid[layer] * (r + x[M, K] w[N, K]^T) + skip[layer] * x0, M from 1 to 8.
// Memory and reductions: common/gemv.cuh.
template <typename T, int K, int N, int M>
__device__ void gemv_mix(const T *x, const T *w, const T *r, const T *x0, const float *resid, const float *skip, T *y,
                         int layer) {
  gemvRun<T, T, K, N, M, false>(x, w, y, Mix<T, N>{r, x0, resid + layer, skip + layer});
}
