// wgemm_mix<T, K, N, tile_m, tile_n, stages, split, share, blocks>: y[n, N] = resid[layer] * (r + x[n, K] w[N, K]^T) +
// skip[layer] * x0. Memory and reductions: common/wgemm.cuh.
template <typename T, int K, int N, int tile_m, int tile_n, int stages, int split, int share, int blocks>
__device__ void wgemm_mix(const T *, const T *, const T *r, const T *x0, const float *resid, const float *skip, T *y,
                          int layer, int n, const TensorMap *x_map, const TensorMap *w_map) {
  wgemmRun<T, K, N, tile_m, tile_n, stages, split, share, false>(x_map, w_map, y, n,
                                                                 Mix<T, N>{r, x0, resid + layer, skip + layer});
}
