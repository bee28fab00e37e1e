// smear<T, C, channels>: y[n, C] = u + lambda * sigmoid(dot(u[0:channels], gate)) * prev.
// Memory: one warp per token, 16-byte vectors, each element once. Reductions: the gate's dot product in f32, strided
// over the lanes, then across the warp.
template <typename T, int C, int channels>
__device__ void smear(const T *u, const T *prev, const T *gate, const float *lambda, T *y, int n) {
  constexpr int lanes = vectorOf<T>(C);
  const long long token = warpIndex();
  if (token >= n)
    return;
  u += token * C;
  prev += token * C;
  y += token * C;
  const float factor = lambda[0] * sigmoid(warpDot<channels>(u, gate));
  for (int i = threadIdx.x % 32 * lanes; i < C; i += 32 * lanes) {
    float a[lanes], b[lanes];
    load(u + i, a);
    load(prev + i, b);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      a[l] += factor * b[l];
    store(y + i, a);
  }
}
