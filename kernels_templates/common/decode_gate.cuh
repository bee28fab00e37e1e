// What the attentions of one token per row add to new values: nothing, or the value gate. attention_decode_ve's
// kernel.cuh says what that is. prefetch() may come before the wait for the producers.

// Values as the linear layer made them.
struct NoGate {
  __device__ void prefetch(int, int) {}
  template <typename Head> __device__ void add(int, int, Head &) const {}
};

// By a warp, slot t and head g.
template <typename T, int kv_heads, int D, int C, int channels> struct ValueGate {
  const T *x;
  const int *tokens;
  const T *embeds, *gate;
  float range;
  DecodeHead<D> embedding;

  __device__ void prefetch(int t, int g) {
    const T *row = embeds + (static_cast<long long>(tokens[t]) * kv_heads + g) * D;
    if (tokens[t] >= 0)
      embedding.load(row);
    else
      embedding = {};
  }

  __device__ void add(int t, int g, DecodeHead<D> &head) const {
    constexpr int lanes = vectorOf<T>(C), steps = (C + 32 * lanes - 1) / (32 * lanes);
    const T *in = x + static_cast<long long>(t) * C;
    float squares = 0;
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      const int i = (static_cast<int>(threadIdx.x % 32) + step * 32) * lanes;
      float v[lanes] = {};
      if (i < C)
        load(in + i, v);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        squares += v[l] * v[l];
    }
    const float product = warpDot<channels>(in, gate + g * channels);
    const float factor = range * sigmoid(product * rsqrtf(warpSum(squares) / C + 0x1p-23f));
#pragma unroll
    for (int i = 0; i < DecodeHead<D>::pairs; ++i) {
      head.a[i] += factor * embedding.a[i];
      head.b[i] += factor * embedding.b[i];
    }
  }
};
