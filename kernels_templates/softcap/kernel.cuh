// softcap<V, Vp>: y[n, V] = cap * tanh(z / cap) of the first V of Vp columns, f32; cap 0 copies.
// Memory: one vector of up to 16 bytes per thread, each element once. Reductions: none.
template <int V, int Vp> __device__ void softcap(const float *z, float *y, float cap, int n) {
  constexpr int lanes = least(vectorOf<float>(V), vectorOf<float>(Vp));
  constexpr int vectors = V / lanes;
  const long long row = threadIndex() / vectors;
  const int i = static_cast<int>(threadIndex() % vectors) * lanes;
  if (row >= n)
    return;
  float x[lanes];
  load(z + row * Vp + i, x);
  if (cap != 0) {
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      x[l] = cap * tanhf(x[l] / cap);
  }
  store(y + row * V + i, x);
}
