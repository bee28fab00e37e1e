// embed_norm<T, C>: y[n, C] = rms_norm(table[tokens]); token -1 (padding) gives zeros.
// Memory and reductions: common/embed.cuh.
template <typename T, int C> __device__ void embed_norm(const int *tokens, const T *table, T *y, int n) {
  embedNorm<T, C>(tokens[blockIdx.x], table, EmbedStore<T>{y + static_cast<long long>(blockIdx.x) * C});
}
