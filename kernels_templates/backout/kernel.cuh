// backout<T>: y = x - lambda * mid, element by element.
// Memory: one 16-byte vector per thread, each element once. Reductions: none.
template <typename T> __device__ void backout(const T *x, const T *mid, const float *lambda, T *y, int count) {
  const float factor = lambda[0];
  mapElements(count, y, x, mid, [factor](float a, float b) { return a - factor * b; });
}
