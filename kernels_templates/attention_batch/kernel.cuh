// attention_batch<T, P, heads, kv_heads, D, ring, chunk, blocks>: attention_decode for a batch, bf16 heads of whole 32
// elements. counters [n, kv_heads] are 0 before and after. Memory: chunks of `chunk` slots of the ring, of all rows and
// heads, are dealt out evenly to the warps of a fixed number of blocks, of which each has one tile of 32 slots at a
// time, the first before the wait, the next as soon as the last is read, whatever row it is of. Reductions: each chunk
// starts anew with a (sum of weights, out) in f32 that goes to `partials`; the warp that comes last to a head of a row,
// by its counter, merges them in the order of slots. Chunks and order follow from the position and the template alone:
// a row's result does not depend on the batch, nor on which warps work for it.
template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk, int blocks>
__device__ void attention_batch(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                unsigned *counters, float *partials, T *y, float mult, int window, float scale, int n) {
  decodeBatch<T, P, heads, kv_heads, D, ring, chunk, blocks>(qkv, table, rows, positions, kv, counters, partials, y,
                                                             mult, window, scale, n, NoGate());
}
