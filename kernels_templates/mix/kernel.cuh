// mix<T>: y = resid[layer] * x + skip[layer] * x0, element by element.
// Memory: one 16-byte vector per thread, each element once. Reductions: none.
template <typename T>
__device__ void mix(const T *x, const T *x0, const float *resid, const float *skip, T *y, int layer, int count) {
  const float r = resid[layer], s = skip[layer];
  mapElements(count, y, x, x0, [r, s](float a, float b) { return r * a + s * b; });
}
