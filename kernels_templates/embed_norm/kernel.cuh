// embed_norm<T, C>: y[n, C] = rms_norm(table[tokens]); token -1 (padding) gives zeros.
// Memory: a block of 256 threads per token, 16-byte vectors; the second reading of the row comes from L1. Reductions:
// the sum of squares in f32, strided over the threads, then across the block.
template <typename T, int C> __device__ void embed_norm(const int *tokens, const T *table, T *y, int n) {
  constexpr int lanes = vectorOf<T>(C);
  const int token = tokens[blockIdx.x];
  const T *row = table + static_cast<long long>(token) * C;
  y += static_cast<long long>(blockIdx.x) * C;
  float squares = 0;
  for (int i = threadIdx.x * lanes; i < C && token >= 0; i += 256 * lanes) {
    float v[lanes];
    load(row + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      squares += v[l] * v[l];
  }
  const float factor = rsqrtf(blockSum<256>(squares) / C + 0x1p-23f);
  for (int i = threadIdx.x * lanes; i < C; i += 256 * lanes) {
    float v[lanes] = {};
    if (token >= 0)
      load(row + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] *= factor;
    store(y + i, v);
  }
}
