// What becomes of a product's sums, for gemv and gemm alike: fetch(row, column) reads what the output needs besides,
// early, and epilogue(sum, fetched) is the output.

template <bool relu2> struct Activation {
  __device__ float fetch(int, int) const { return 0; }
  __device__ float operator()(float sum, float) const {
    return relu2 ? (sum < 0 ? 0 : sum * sum) : sum; // a comparison rather than fmaxf: NaN stays NaN
  }
};

// r + sum
template <typename T, int N> struct Residual {
  const T *r;
  __device__ float fetch(int row, int column) const { return toFloat(r[row * static_cast<long long>(N) + column]); }
  __device__ float operator()(float sum, float residual) const { return residual + sum; }
};

// resid * (r + sum) + skip * x0
template <typename T, int N> struct Mix {
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

// r + sum - lambda * mid
template <typename T, int N> struct Backout {
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
