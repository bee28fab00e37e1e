// gemv_backout<T, K, N, M>: y[M, N] = r + x[M, K] w[N, K]^T - lambda * mid, M from 1 to 8.
// Memory and reductions: common/gemv.cuh.
template <typename T, int N> struct GemvBackout {
  struct Operand {
    float r, mid, lambda;
  };
  const T *r, *mid;
  const float *lambda;
  __device__ Operand fetch(int row, int column) const {
    const long long i = row * static_cast<long long>(N) + column;
    return {toFloat(r[i]), toFloat(mid[i]), *lambda};
  }
  __device__ float operator()(float sum, const Operand &o) const { return o.r + sum - o.lambda * o.mid; }
};

template <typename T, int K, int N, int M>
__device__ void gemv_backout(const T *x, const T *w, const T *r, const T *mid, const float *lambda, T *y) {
  gemvRun<T, T, K, N, M, false>(x, w, y, GemvBackout<T, N>{r, mid, lambda});
}
