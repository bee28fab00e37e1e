// gemm<T, O, K, N, tile_m, tile_n, norm, relu2>: y[n, N] = act(s * x[n, K] w[N, K]^T); s = rsqrt(mean(x[row]^2) +
// 2^-23) if norm, else 1; act = max(., 0)^2 if relu2. Memory and reductions: common/gemm.cuh.
template <typename T, typename O, int K, int N, int tile_m, int tile_n, int norm, int relu2>
__device__ void gemm(const T *x, const T *w, O *y, int n) {
  gemmRun<T, O, K, N, tile_m, tile_n, norm != 0>(x, w, y, n, Activation<relu2 != 0>{});
}
