// value_gate<T, heads, D, C, channels>: y[t, g, :] = v[t, g, :] + range * sigmoid(dot(h[t, 0:channels], gate[g])) *
// table[token][g, :]; token -1 (padding) copies v. v, y [n, heads*D], h [n, C], gate [heads, channels].
// Memory: one warp per token and head, 16-byte vectors, each element once. Reductions: the gate's dot product in f32,
// strided over the lanes, then across the warp.
template <typename T, int heads, int D, int C, int channels>
__device__ void value_gate(const T *v, const T *h, const int *tokens, const T *table, const T *gate, T *y, float range,
                           int n) {
  constexpr int lanes = vectorOf<T>(D);
  const long long head = warpIndex(); // of all tokens
  if (head >= static_cast<long long>(n) * heads)
    return;
  const long long t = head / heads;
  const int g = static_cast<int>(head % heads), token = tokens[t];
  const float factor = range * sigmoid(warpDot<channels>(h + t * C, gate + static_cast<long long>(g) * channels));
  for (int i = threadIdx.x % 32 * lanes; i < D; i += 32 * lanes) {
    float a[lanes];
    load(v + head * D + i, a);
    if (token >= 0) {
      float b[lanes];
      load(table + (static_cast<long long>(token) * heads + g) * D + i, b);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        a[l] += factor * b[l];
    }
    store(y + head * D + i, a);
  }
}
