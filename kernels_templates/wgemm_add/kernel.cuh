// wgemm_add<T, K, N, tile_m, tile_n, stages, split, share, blocks>: y[n, N] = r + x[n, K] w[N, K]^T.
// Memory and reductions: common/wgemm.cuh.
template <typename T, int K, int N, int tile_m, int tile_n, int stages, int split, int share, int blocks>
__device__ void wgemm_add(const T *, const T *, const T *r, T *y, int n, const TensorMap *x_map,
                          const TensorMap *w_map) {
  wgemmRun<T, K, N, tile_m, tile_n, stages, split, share, false>(x_map, w_map, y, n, Residual<T, N>{r});
}
