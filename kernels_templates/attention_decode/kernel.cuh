// attention_decode<T, P, heads, kv_heads, D, ring, cluster>: one token per row and slot. From qkv [n, heads +
// 2 kv_heads, D]: q and k rotated by table [positions, D], RMS-normed per head and multiplied by mult; k and v put into
// ring slot position % ring of kv [rows, 2, kv_heads, ring, D]; then y[t, h, :] = softmax over j of scale * q . k[j],
// times v[j], for max(0, p - window) <= j <= p. Row -1 (padding) gives zeros and writes nothing. Memory: a cluster of
// blocks per token and kv head, whose warps take tiles of 32 slots of the ring in turn, for all query heads of the
// group; old keys and values go to shared memory by bulk copies that start before the wait. Reductions: a warp keeps
// (sum of weights, out) of its tiles in f32; the warps of a cluster merge through its shared memory. Which warp has
// which tile, and all order, follow from the position and the template alone: a row's result does not depend on the
// batch.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster>
__device__ void attention_decode(const T *qkv, const P *table, const int *rows, const int *positions, T *kv, T *y,
                                 float mult, int window, float scale, int n) {
  decodeAttention<T, P, heads, kv_heads, D, ring, cluster>(qkv, table, rows, positions, kv, y, mult, window, scale, n,
                                                           NoGate());
}
