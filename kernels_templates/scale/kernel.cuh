// scale<T>: y = factor * x, element by element.
// Memory: one 16-byte vector per thread, each element once. Reductions: none.
template <typename T> __device__ void scale(const T *x, T *y, float factor, int count) {
  mapElements(count, y, x, [factor](float a) { return factor * a; });
}
