// embed_smear<T, C, channels>: with u = rms_norm(table[tokens]) and p = rms_norm(table[prev]), each zeros for id -1:
// y[n, C] = u + lambda * sigmoid(dot(u[0:channels], gate)) * p.
// Memory: a block of 256 threads per token, 16-byte vectors; the second reading of both rows comes from L1. Reductions:
// the sums of squares and the gate's dot product (of raw channels, scaled afterwards) in f32, strided over the threads,
// then across the block.
template <typename T, int C, int channels>
__device__ void embed_smear(const int *tokens, const int *prev, const T *table, const T *gate, const float *lambda,
                            T *y, int n) {
  constexpr int lanes = vectorOf<T>(C);
  const int token = tokens[blockIdx.x], before = prev[blockIdx.x];
  const T *row = table + static_cast<long long>(token) * C, *other = table + static_cast<long long>(before) * C;
  y += static_cast<long long>(blockIdx.x) * C;
  float squares = 0, otherSquares = 0, product = 0;
  for (int i = threadIdx.x * lanes; i < C; i += 256 * lanes) {
    float a[lanes] = {}, b[lanes] = {};
    if (token >= 0)
      load(row + i, a);
    if (before >= 0)
      load(other + i, b);
#pragma unroll
    for (int l = 0; l < lanes; ++l) {
      squares += a[l] * a[l];
      otherSquares += b[l] * b[l];
      if (i + l < channels)
        product += a[l] * toFloat(gate[i + l]);
    }
  }
  const float factor = rsqrtf(blockSum<256>(squares) / C + 0x1p-23f);
  const float otherFactor =
      lambda[0] * sigmoid(blockSum<256>(product) * factor) * rsqrtf(blockSum<256>(otherSquares) / C + 0x1p-23f);
  for (int i = threadIdx.x * lanes; i < C; i += 256 * lanes) {
    float a[lanes] = {}, b[lanes] = {};
    if (token >= 0)
      load(row + i, a);
    if (before >= 0)
      load(other + i, b);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      a[l] = a[l] * factor + b[l] * otherFactor;
    store(y + i, a);
  }
}
