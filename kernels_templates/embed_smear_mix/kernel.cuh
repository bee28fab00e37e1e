// embed_smear_mix<T, C, channels>: with u = rms_norm(table[tokens]) and p = rms_norm(table[prev]), each zeros for id
// -1: x0[n, C] = u + lambda * sigmoid(dot(u[0:channels], gate)) * p and y = resid[layer] * x0 + skip[layer] * x0.
// Memory and reductions: common/embed.cuh.
template <typename T, int C, int channels>
__device__ void embed_smear_mix(const int *tokens, const int *prev, const T *table, const T *gate, const float *lambda,
                                const float *resid, const float *skip, T *x0, T *y, int layer, int n) {
  const long long first = static_cast<long long>(blockIdx.x) * C;
  embedSmear<T, C, channels>(tokens[blockIdx.x], prev[blockIdx.x], table, gate, lambda[0],
                             EmbedStoreMixed<T>{x0 + first, y + first, resid[layer], skip[layer]});
}
