// gemv_backout<T, K, N, M>: y[M, N] = r + x[M, K] w[N, K]^T - lambda * mid, M from 1 to 8.
// Memory and reductions: common/gemv.cuh.
template <typename T, int K, int N, int M>
__device__ void gemv_backout(const T *x, const T *w, const T *r, const T *mid, const float *lambda, T *y) {
  gemvRun<T, T, K, N, M, false>(x, w, y, Backout<T, N>{r, mid, lambda});
}
