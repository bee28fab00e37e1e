// attention_decode_ve<T, P, heads, kv_heads, D, ring, chunk, C, channels>: attention_decode whose new v is
// v[t, g, :] + range * sigmoid(dot(rms_norm(x[t])[0:channels], gate[g])) * embeds[token][g, :]; token -1 adds nothing.
// x [n, C], embeds [*, kv_heads * D], gate [kv_heads, channels]. Memory and reductions as there; the block that owns
// the new position reads the row of x once. The norm's factor multiplies the gate's f32 dot product.
template <typename T, int kv_heads, int D, int C, int channels> struct ValueGate {
  const T *x;
  const int *tokens;
  const T *embeds, *gate;
  float range, factor;
  const T *added;

  __device__ void prepare(int t, int g) {
    constexpr int lanes = vectorOf<T>(C);
    added = nullptr;
    if (tokens[t] < 0)
      return;
    added = embeds + (static_cast<long long>(tokens[t]) * kv_heads + g) * D;
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0, sum = 0;
    for (int i = threadIdx.x * lanes; i < C; i += 128 * lanes) {
      float v[lanes];
      load(in + i, v);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        squares += v[l] * v[l];
    }
    for (int i = threadIdx.x; i < channels; i += 128)
      sum += toFloat(in[i]) * toFloat(gate[g * channels + i]);
    squares = blockSum<128>(squares);
    factor = range * sigmoid(blockSum<128>(sum) * rsqrtf(squares / C + 0x1p-23f));
  }
  __device__ float at(int d) const { return added ? factor * toFloat(added[d]) : 0; }
};

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk, int C, int channels>
__device__ void attention_decode_ve(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                    unsigned *counters, const T *x, const int *tokens, const T *embeds, const T *gate,
                                    float *partials, T *y, float mult, int window, float scale, int n, float range) {
  decodeAttention<T, P, heads, kv_heads, D, ring, chunk>(
      qkv, table, rows, positions, kv, counters, partials, y, mult, window, scale, n,
      ValueGate<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, 0, nullptr});
}
