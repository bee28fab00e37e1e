// gemv<T, O, K, N, M, norm, relu2>: y[M, N] = act(s * x[M, K] w[N, K]^T), M from 1 to 8; s = rsqrt(mean(x[row]^2) +
// 2^-23) if norm, else 1; act = max(., 0)^2 if relu2. Memory and reductions: common/gemv.cuh.
template <typename T, typename O, int K, int N, int M, int norm, int relu2>
__device__ void gemv(const T *x, const T *w, O *y) {
  gemvRun<T, O, K, N, M, norm != 0>(x, w, y, Activation<relu2 != 0>{});
}
