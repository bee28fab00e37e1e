// attention_decode<T, P, heads, kv_heads, D, ring, chunk>: one token per row and slot. From qkv [n, heads + 2 kv_heads,
// D]: q and k rotated by table [positions, D], RMS-normed per head and multiplied by mult; k and v put into ring slot
// position % ring of kv [rows, 2, kv_heads, ring, D]; then y[t, h, :] = softmax over j of scale * q . k[j], times v[j],
// for max(0, p - window) <= j <= p. Row -1 (padding) gives zeros and writes nothing. Counters [n * kv_heads] are zero
// before and after. Memory: a block per token, kv head and chunk of positions (aligned, so that a chunk does not depend
// on the batch), for all query heads of the group; old keys and values go to shared memory by asynchronous copies that
// start before the wait. Reductions: dot products across a group of lanes; each chunk has its own (max, sum, out) in
// f32, sums over slices of positions in order; the last block to arrive merges the chunks in order of position.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk>
__device__ void attention_decode(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                 unsigned *counters, float *partials, T *y, float mult, int window, float scale,
                                 int n) {
  decodeAttention<T, P, heads, kv_heads, D, ring, chunk>(qkv, table, rows, positions, kv, counters, partials, y, mult,
                                                         window, scale, n, NoGate());
}
