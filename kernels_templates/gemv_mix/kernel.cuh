// gemv_mix<T, K, N, M>: y[M, N] = resid[layer] * (r + x[M, K] w[N, K]^T) + skip[layer] * x0, M from 1 to 8.
// Memory and reductions: common/gemv.cuh.
template <typename T, int N> struct GemvMix {
  struct Operand {
    float r, x0, resid, skip;
  };
  const T *r, *x0;
  const float *resid, *skip;
  __device__ Operand fetch(int row, int column) const {
    const long long i = row * static_cast<long long>(N) + column;
    return {toFloat(r[i]), toFloat(x0[i]), *resid, *skip};
  }
  __device__ float operator()(float sum, const Operand &o) const { return o.resid * (o.r + sum) + o.skip * o.x0; }
};

template <typename T, int K, int N, int M>
__device__ void gemv_mix(const T *x, const T *w, const T *r, const T *x0, const float *resid, const float *skip, T *y,
                         int layer) {
  gemvRun<T, T, K, N, M, false>(x, w, y, GemvMix<T, N>{r, x0, resid + layer, skip + layer});
}
