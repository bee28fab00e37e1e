// qkv_prepare<T, P, heads, kv_heads, D>: from qkv [n, heads + 2 kv_heads, D]: q [n, heads, D] and k [n, kv_heads, D],
// rotated by table [positions, D], RMS-normed per head and multiplied by mult, and v [n, kv_heads, D] as it is. Memory:
// common/prepare.cuh; a group of lanes per head, each element once in vectors of at most 16 bytes. Reductions: the
// norm's sum across the group.
template <typename T, typename P, int heads, int kv_heads, int D>
__device__ void qkv_prepare(const T *qkv, const P *table, const int *positions, T *q, T *k, T *v, float mult, int) {
  prepareHeads<T, P, heads, kv_heads, D>(qkv, table, positions, q, k, v, mult, NoGates());
}
