// attention_decode_ve<T, P, heads, kv_heads, D, ring, cluster, C, channels>: attention_decode whose new v is
// v[t, g, :] + range * sigmoid(dot(rms_norm(x[t])[0:channels], gate[g])) * embeds[token][g, :]; token -1 adds nothing.
// x [n, C], embeds [*, kv_heads * D], gate [kv_heads, channels]. Memory and reductions as there; the warp that makes
// the new value reads the row of x once, and its embedding before the wait. The norm's factor multiplies the gate's f32
// dot product.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, int C, int channels>
__device__ void attention_decode_ve(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                    const T *x, const int *tokens, const T *embeds, const T *gate, T *y, float mult,
                                    int window, float scale, int n, float range) {
  decodeAttention<T, P, heads, kv_heads, D, ring, cluster>(
      qkv, table, rows, positions, kv, y, mult, window, scale, n,
      ValueGate<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, {}});
}
