// rms_norm<T, width>: y[n, width] = x * rsqrt(mean(x^2) + 2^-23), per row.
// Memory: one warp per row, 16-byte vectors; the second reading of the row comes from L1. Reductions: the sum of
// squares in f32, strided over the lanes, then across the warp.
template <typename T, int width> __device__ void rms_norm(const T *x, T *y, int n) {
  constexpr int lanes = vectorOf<T>(width);
  const long long row = warpIndex();
  if (row >= n)
    return;
  x += row * width;
  y += row * width;
  float squares = 0;
  for (int i = threadIdx.x % 32 * lanes; i < width; i += 32 * lanes) {
    float v[lanes];
    load(x + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      squares += v[l] * v[l];
  }
  const float factor = rsqrtf(warpSum(squares) / width + 0x1p-23f);
  for (int i = threadIdx.x % 32 * lanes; i < width; i += 32 * lanes) {
    float v[lanes];
    load(x + i, v);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      v[l] *= factor;
    store(y + i, v);
  }
}
