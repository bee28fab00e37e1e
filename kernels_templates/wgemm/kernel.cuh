// wgemm<T, O, K, N, tile_m, tile_n, stages, split, share, blocks, norm, relu2>: y[n, N] = act(s * x[n, K] w[N, K]^T);
// s = rsqrt(mean(x[row]^2) + 2^-23) if norm, else 1; act = max(., 0)^2 if relu2. Memory and reductions:
// common/wgemm.cuh.
template <typename T, typename O, int K, int N, int tile_m, int tile_n, int stages, int split, int share, int blocks,
          int norm, int relu2>
__device__ void wgemm(const T *, const T *, O *y, int n, const TensorMap *x_map, const TensorMap *w_map) {
  wgemmRun<T, K, N, tile_m, tile_n, stages, split, share, norm != 0>(x_map, w_map, y, n, Activation<relu2 != 0>{});
}
