// gemv_add<T, K, N, M>: y[M, N] = r + x[M, K] w[N, K]^T, M from 1 to 8.
// Memory and reductions: common/gemv.cuh.
template <typename T, int K, int N, int M> __device__ void gemv_add(const T *x, const T *w, const T *r, T *y) {
  gemvRun<T, T, K, N, M, false>(x, w, y, Residual<T, N>{r});
}
