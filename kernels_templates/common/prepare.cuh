// q, k and v for attention from what one linear layer makes: what qkv_prepare and qkv_prepare_ve share; the former's
// kernel.cuh says what it computes. A block of 128 threads per token.

// Values as the linear layer made them.
struct NoGates {
  __device__ void prepare(int) {}
  __device__ float at(int, int) const { return 0; }
};

template <typename T, typename P, int heads, int kv_heads, int D, typename Gates>
__device__ inline void prepareHeads(const T *qkv, const P *table, const int *positions, T *q, T *k, T *v, float mult,
                                    Gates gates) {
  constexpr int half = D / 2, width = least(vectorOf<T>(half), vectorOf<P>(half)), vectors = half / width;
  constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, groups = 128 / lanes;
  const int t = blockIdx.x, group = threadIdx.x / lanes, lane = threadIdx.x % lanes;
  const T *x = qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
  const P *angles = table + static_cast<long long>(positions[t]) * D;
  q += static_cast<long long>(t) * heads * D;
  k += static_cast<long long>(t) * kv_heads * D;
  v += static_cast<long long>(t) * kv_heads * D;

  for (int base = 0; base < heads + kv_heads; base += groups) { // the same trip count for all lanes
    const int head = base + group;
    const bool inside = head < heads + kv_heads;
    float a[pieces][width], b[pieces][width], squares = 0;
#pragma unroll
    for (int i = 0; i < pieces; ++i) {
      const int d = (lane + i * lanes) * width;
      if (!inside || d >= half)
        break;
      float c[width], s[width];
      load(x + head * D + d, a[i]);
      load(x + head * D + half + d, b[i]);
      load(angles + d, c);
      load(angles + half + d, s);
#pragma unroll
      for (int l = 0; l < width; ++l) {
        const float first = a[i][l] * c[l] + b[i][l] * s[l];
        b[i][l] = b[i][l] * c[l] - a[i][l] * s[l];
        a[i][l] = first;
        squares += a[i][l] * a[i][l] + b[i][l] * b[i][l];
      }
    }
    const float factor = mult * rsqrtf(groupSum<lanes>(squares) / D + 0x1p-23f);
    T *to = head < heads ? q + head * D : k + (head - heads) * D;
#pragma unroll
    for (int i = 0; i < pieces; ++i) {
      const int d = (lane + i * lanes) * width;
      if (!inside || d >= half)
        break;
#pragma unroll
      for (int l = 0; l < width; ++l) {
        a[i][l] *= factor;
        b[i][l] *= factor;
      }
      store(to + d, a[i]);
      store(to + half + d, b[i]);
    }
  }

  constexpr int piece = vectorOf<T>(D);
  gates.prepare(t);
  for (int i = threadIdx.x * piece; i < kv_heads * D; i += 128 * piece) {
    float value[piece];
    load(x + (heads + kv_heads) * D + i, value);
#pragma unroll
    for (int l = 0; l < piece; ++l)
      value[l] += gates.at(i / D, i + l);
    store(v + i, value);
  }
}
