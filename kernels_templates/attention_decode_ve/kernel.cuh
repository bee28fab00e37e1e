// attention_decode_ve<T, P, heads, kv_heads, D, ring, cluster, C, channels>: attention_decode whose new v is
// v[t, g, :] + range * sigmoid(dot(rms_norm(x[t])[0:channels], gate[g])) * embeds[token][g, :]; token -1 adds nothing.
// x [n, C], embeds [*, kv_heads * D], gate [kv_heads, channels]. Memory and reductions as there; the warp that makes
// the new value reads the row of x once, and its embedding before the wait. The norm's factor multiplies the gate's f32
// dot product.
template <typename T, int kv_heads, int D, int C, int channels> struct ValueGate {
  static constexpr int half = D / 2, pairs = (half + 31) / 32;
  const T *x;
  const int *tokens;
  const T *embeds, *gate;
  float range;
  float low[pairs], high[pairs]; // of the embedding, as the warp's lanes hold a head

  __device__ void prefetch(int t, int g) {
    const T *row = embeds + (static_cast<long long>(tokens[t]) * kv_heads + g) * D;
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = static_cast<int>(threadIdx.x % 32) + i * 32;
      const bool inside = tokens[t] >= 0 && d < half;
      low[i] = inside ? toFloat(row[d]) : 0;
      high[i] = inside ? toFloat(row[half + d]) : 0;
    }
  }

  __device__ void add(int t, int g, float (&a)[pairs], float (&b)[pairs]) const {
    constexpr int lanes = vectorOf<T>(C), steps = (C + 32 * lanes - 1) / (32 * lanes);
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0;
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      const int i = (static_cast<int>(threadIdx.x % 32) + step * 32) * lanes;
      float v[lanes] = {};
      if (i < C)
        load(in + i, v);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        squares += v[l] * v[l];
    }
    const float product = warpDot<channels>(in, gate + g * channels);
    const float factor = range * sigmoid(product * rsqrtf(warpSum(squares) / C + 0x1p-23f));
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      a[i] += factor * low[i];
      b[i] += factor * high[i];
    }
  }
};

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, int C, int channels>
__device__ void attention_decode_ve(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                    const T *x, const int *tokens, const T *embeds, const T *gate, T *y, float mult,
                                    int window, float scale, int n, float range) {
  decodeAttention<T, P, heads, kv_heads, D, ring, cluster>(
      qkv, table, rows, positions, kv, y, mult, window, scale, n,
      ValueGate<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, {}, {}});
}
