// qkv_prepare_ve<T, P, heads, kv_heads, D, C, channels>: qkv_prepare whose v is
// v[t, g, :] + range * sigmoid(dot(rms_norm(x[t])[0:channels], gate[g])) * embeds[token][g, :]; token -1 adds nothing.
// x [n, C], embeds [*, kv_heads * D], gate [kv_heads, channels]. Memory and reductions as there; the row of x is read
// once. The norm's factor multiplies the gates' f32 dot products.
template <typename T, int kv_heads, int D, int C, int channels> struct ValueGates {
  const T *x;
  const int *tokens;
  const T *embeds, *gate;
  float range;
  float *factors; // a block's, of each head
  const T *added;

  __device__ void prepare(int t) {
    constexpr int lanes = vectorOf<T>(C);
    added = tokens[t] < 0 ? nullptr : embeds + static_cast<long long>(tokens[t]) * kv_heads * D;
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0;
    for (int i = threadIdx.x * lanes; i < C; i += 128 * lanes) {
      float v[lanes];
      load(in + i, v);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        squares += v[l] * v[l];
    }
    const float norm = rsqrtf(blockSum<128>(squares) / C + 0x1p-23f);
    for (int g = threadIdx.x / 32; g < kv_heads; g += 4) {
      const float sum = warpDot<channels>(in, gate + g * channels);
      if (threadIdx.x % 32 == 0)
        factors[g] = range * sigmoid(sum * norm);
    }
    __syncthreads();
  }
  __device__ float at(int g, int i) const { return added ? factors[g] * toFloat(added[i]) : 0; }
};

template <typename T, typename P, int heads, int kv_heads, int D, int C, int channels>
__device__ void qkv_prepare_ve(const T *qkv, const P *table, const int *positions, const T *x, const int *tokens,
                               const T *embeds, const T *gate, T *q, T *k, T *v, float mult, int, float range) {
  __shared__ float factors[kv_heads];
  prepareHeads<T, P, heads, kv_heads, D>(
      qkv, table, positions, q, k, v, mult,
      ValueGates<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, factors, nullptr});
}
