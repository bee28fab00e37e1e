// embed<T, C>: y[n, C] = table[tokens]; token -1 (padding) gives zeros.
// Memory: one 16-byte vector per thread, read once and written once; no reuse. Reductions: none.
template <typename T, int C> __device__ void embed(const int *tokens, const T *table, T *y, int n) {
  gatherRows<T, C>(tokens, table, y, n);
}
