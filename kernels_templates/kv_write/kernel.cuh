// kv_write<T, kv_heads, D, ring>: token t of row r at position p goes to slot p % ring of kv [rows, 2, kv_heads, ring,
// D] iff p >= ends[r] - ring, where ends[r] is the number of positions the row holds after this chunk: of several
// tokens that map to one slot just the newest is written, so no two threads write one element. Row -1 (padding) writes
// nothing. Memory: a thread per 16-byte vector of k and of v, each element once. Reductions: none.
template <typename T, int kv_heads, int D, int ring>
__device__ void kv_write(const T *k, const T *v, const int *rows, const int *positions, const int *ends, T *kv, int n) {
  constexpr int lanes = vectorOf<T>(D);
  constexpr int vectors = D / lanes;
  const long long head = threadIndex() / vectors; // of all tokens
  const int i = static_cast<int>(threadIndex() % vectors) * lanes;
  if (head >= static_cast<long long>(n) * kv_heads)
    return;
  const long long t = head / kv_heads;
  const int g = static_cast<int>(head % kv_heads), row = rows[t], position = positions[t];
  if (row < 0 || position < ends[row] - ring)
    return;
  T *keys = kv + ((static_cast<long long>(row) * 2 * kv_heads + g) * ring + position % ring) * D + i;
  float x[lanes];
  load(k + head * D + i, x);
  store(keys, x);
  load(v + head * D + i, x);
  store(keys + static_cast<long long>(kv_heads) * ring * D, x);
}
