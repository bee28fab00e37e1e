// embed_smear<T, C, channels>: with u = rms_norm(table[tokens]) and p = rms_norm(table[prev]), each zeros for id -1:
// y[n, C] = u + lambda * sigmoid(dot(u[0:channels], gate)) * p.
// Memory and reductions: common/embed.cuh.
template <typename T, int C, int channels>
__device__ void embed_smear(const int *tokens, const int *prev, const T *table, const T *gate, const float *lambda,
                            T *y, int n) {
  embedSmear<T, C, channels>(tokens[blockIdx.x], prev[blockIdx.x], table, gate, lambda[0],
                             EmbedStore<T>{y + static_cast<long long>(blockIdx.x) * C});
}
