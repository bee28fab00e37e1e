// last<T, C>: y[r, C] = x[index]; index -1 (no such row) gives zeros.
// Memory: one 16-byte vector per thread, read once and written once; no reuse. Reductions: none.
template <typename T, int C> __device__ void last(const T *x, const int *index, T *y, int r) {
  gatherRows<T, C>(index, x, y, r);
}
