// embed_norm_mix<T, C>: x0[n, C] = rms_norm(table[tokens]) and y = resid[layer] * x0 + skip[layer] * x0; token -1
// (padding) gives zeros. Memory and reductions: common/embed.cuh.
template <typename T, int C>
__device__ void embed_norm_mix(const int *tokens, const T *table, const float *resid, const float *skip, T *x0, T *y,
                               int layer, int n) {
  const long long first = static_cast<long long>(blockIdx.x) * C;
  embedNorm<T, C>(tokens[blockIdx.x], table, EmbedStoreMixed<T>{x0 + first, y + first, resid[layer], skip[layer]});
}
