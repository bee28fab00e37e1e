// y[i] = table[index[i]] for rows of C elements; a negative index gives zeros. One thread per 16-byte vector.
template <typename T, int C> __device__ inline void gatherRows(const int *index, const T *table, T *y, int n) {
  constexpr int lanes = vectorOf<T>(C);
  constexpr int vectors = C / lanes;
  const long long i = threadIndex() / vectors;
  const int column = static_cast<int>(threadIndex() % vectors) * lanes;
  if (i >= n)
    return;
  const int row = index[i];
  float x[lanes] = {};
  if (row >= 0)
    load(table + static_cast<long long>(row) * C + column, x);
  store(y + i * C + column, x);
}
