// add<T>: y = a + b, element by element.
// Memory: one 16-byte vector per thread, each element once. Reductions: none.
template <typename T> __device__ void add(const T *a, const T *b, T *y, int count) {
  mapElements(count, y, a, b, [](float p, float q) { return p + q; });
}
