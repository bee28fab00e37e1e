// What the families of embed_norm and embed_smear share: a block of 256 threads per token, 16-byte vectors; the second
// reading of a row comes from L1. Sums in f32, strided over the threads, then across the block.

// What becomes of a token's channels i, i + 1, ...
template <typename T> struct EmbedStore {
  T *y;
  template <int lanes> __device__ void operator()(int i, const float (&v)[lanes]) const { store(y + i, v); }
};

// Besides them resid * v + skip * v, the first mix, in which the residual is still x0.
template <typename T> struct EmbedStoreMixed {
  T *x0, *y;
  float resid, skip;
  template <int lanes> __device__ void operator()(int i, float (&v)[lanes]) const {
    store(x0 + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] = resid * v[l] + skip * v[l];
    store(y + i, v);
  }
};

// put(i, v) for the channels of rms_norm(table[token]).
template <typename T, int C, typename Put> __device__ inline void embedNorm(int token, const T *table, const Put &put) {
  constexpr int lanes = vectorOf<T>(C);
  const T *row = table + static_cast<long long>(token) * C;
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
    put(i, v);
  }
}

// put(i, v) for the channels of u + lambda * sigmoid(dot(u[0:channels], gate)) * p, where u = rms_norm(table[token])
// and p = rms_norm(table[before]). The gate's dot product is of raw channels and scaled afterwards.
template <typename T, int C, int channels, typename Put>
__device__ inline void embedSmear(int token, int before, const T *table, const T *gate, float lambda, const Put &put) {
  constexpr int lanes = vectorOf<T>(C);
  const T *row = table + static_cast<long long>(token) * C, *other = table + static_cast<long long>(before) * C;
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
      lambda * sigmoid(blockSum<256>(product) * factor) * rsqrtf(blockSum<256>(otherSquares) / C + 0x1p-23f);
  for (int i = threadIdx.x * lanes; i < C; i += 256 * lanes) {
    float a[lanes] = {}, b[lanes] = {};
    if (token >= 0)
      load(row + i, a);
    if (before >= 0)
      load(other + i, b);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      a[l] = a[l] * factor + b[l] * otherFactor;
    put(i, a);
  }
}
