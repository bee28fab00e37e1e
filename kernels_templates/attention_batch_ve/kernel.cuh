// attention_batch_ve<T, P, heads, kv_heads, D, ring, chunk, blocks, C, channels>: attention_batch with the value gate
// of attention_decode_ve.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk, int blocks, int C, int channels>
__device__ void attention_batch_ve(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                   const T *x, const int *tokens, const T *embeds, const T *gate, unsigned *counters,
                                   float *partials, T *y, float mult, int window, float scale, int n, float range) {
  decodeBatch<T, P, heads, kv_heads, D, ring, chunk, blocks>(
      qkv, table, rows, positions, kv, counters, partials, y, mult, window, scale, n,
      ValueGate<T, kv_heads, D, C, channels>{x, tokens, embeds, gate, range, {}});
}
