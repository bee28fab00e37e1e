// attention_decode_qkv_ve<T, P, heads, kv_heads, D, ring, cluster, stages, C, norm, channels>: attention_decode_qkv
// with the value gate of attention_decode_ve, which reads the same x.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, int stages, int C, int norm,
          int channels>
__device__ void attention_decode_qkv_ve(const T *w, const P *table, const int *rows, const int *positions, T *kv,
                                        const T *x, const int *tokens, const T *embeds, const T *gate, T *y, float mult,
                                        int window, float scale, int n, float range) {
  using Heads = MadeHeads<heads, kv_heads, D, cluster, C, stages, norm != 0>;
  __shared__ typename Heads::Barriers barriers;
  decodeAttention<T, P, heads, kv_heads, D, ring, cluster>(
      table, rows, positions, kv, y, mult, window, scale, Heads(x, w, &barriers),
      ValueGate<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, {}});
}
