// attention_decode_qkv<T, P, heads, kv_heads, D, ring, cluster, stages, C, norm>: attention_decode of qkv = s * x[n, C]
// w[(heads + 2 kv_heads) * D, C]^T, which it makes itself; s = rsqrt(mean(x[t]^2) + 2^-23) if norm, else 1. For few
// tokens: every token's cluster reads all of w that its heads need. Memory and reductions: as attention_decode and
// common/gemv.cuh; the weights' first stages are under way before the wait. q, k and v stay f32 until they are placed.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, int stages, int C, int norm>
__device__ void attention_decode_qkv(const T *w, const P *table, const int *rows, const int *positions, T *kv,
                                     const T *x, T *y, float mult, int window, float scale, int n) {
  using Heads = MadeHeads<heads, kv_heads, D, cluster, C, stages, norm != 0>;
  __shared__ typename Heads::Barriers barriers;
  decodeAttention<T, P, heads, kv_heads, D, ring, cluster>(table, rows, positions, kv, y, mult, window, scale,
                                                           Heads(x, w, &barriers), NoGate());
}
