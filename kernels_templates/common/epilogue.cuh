// What becomes of a product's sums, for gemv and gemm alike: fetch(row, column) reads what the output needs besides,
// early, and epilogue(sum, fetched) is the output. fetchEight() and finish() do the same for 8 neighbours in a row,
// from a column that is a multiple of 8 on, in rows of a multiple of 8: by 16 bytes of bf16.

// Eight neighbours as they lie in memory.
template <typename T> struct Eight {
  union {
    typename Word<16>::Type words[sizeof(T) / 2];
    T elements[8];
  };
  __device__ void load(const T *p) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(T)) / 2; ++i)
      words[i] = reinterpret_cast<const typename Word<16>::Type *>(p)[i];
  }
  __device__ float operator[](int i) const { return toFloat(elements[i]); }
};

template <bool relu2> struct Activation {
  __device__ float fetch(int, int) const { return 0; }
  __device__ float operator()(float sum, float) const {
    return relu2 ? (sum < 0 ? 0 : sum * sum) : sum; // a comparison rather than fmaxf: NaN stays NaN
  }

  struct Operands {};
  __device__ Operands fetchEight(int, int) const { return {}; }
  __device__ void finish(float (&sums)[8], const Operands &) const {
#pragma unroll
    for (float &sum : sums)
      sum = (*this)(sum, 0);
  }
};

// r + sum
template <typename T, int N> struct Residual {
  const T *r;
  __device__ float fetch(int row, int column) const { return toFloat(r[row * static_cast<long long>(N) + column]); }
  __device__ float operator()(float sum, float residual) const { return residual + sum; }

  using Operands = Eight<T>;
  __device__ Operands fetchEight(int row, int column) const {
    Operands o;
    o.load(r + (row * static_cast<long long>(N) + column));
    return o;
  }
  __device__ void finish(float (&sums)[8], const Operands &o) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      sums[i] = (*this)(sums[i], o[i]);
  }
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

  struct Operands {
    Eight<T> r, x0;
    float resid, skip;
  };
  __device__ Operands fetchEight(int row, int column) const {
    const long long i = row * static_cast<long long>(N) + column;
    Operands o;
    o.r.load(r + i);
    o.x0.load(x0 + i);
    o.resid = *resid;
    o.skip = *skip;
    return o;
  }
  __device__ void finish(float (&sums)[8], const Operands &o) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      sums[i] = (*this)(sums[i], Operand{o.r[i], o.x0[i], o.resid, o.skip});
  }
};

// The same, which also stores r + sum.
template <typename T, int N> struct MixSum {
  struct Operand {
    float r, x0, resid, skip;
    long long at;
  };
  const T *r, *x0;
  const float *resid, *skip;
  T *sums;
  __device__ Operand fetch(int row, int column) const {
    const long long i = row * static_cast<long long>(N) + column;
    return {toFloat(r[i]), toFloat(x0[i]), *resid, *skip, i};
  }
  __device__ float operator()(float product, const Operand &o) const {
    const float sum = o.r + product;
    sums[o.at] = fromFloat<T>(sum);
    return o.resid * sum + o.skip * o.x0;
  }

  struct Operands {
    Eight<T> r, x0;
    float resid, skip;
    long long at;
  };
  __device__ Operands fetchEight(int row, int column) const {
    Operands o;
    o.at = row * static_cast<long long>(N) + column;
    o.r.load(r + o.at);
    o.x0.load(x0 + o.at);
    o.resid = *resid;
    o.skip = *skip;
    return o;
  }
  __device__ void finish(float (&products)[8], const Operands &o) const {
    float sum[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      sum[i] = o.r[i] + products[i];
      products[i] = o.resid * sum[i] + o.skip * o.x0[i];
    }
    store(sums + o.at, sum);
  }
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

  struct Operands {
    Eight<T> r, mid;
    float lambda;
  };
  __device__ Operands fetchEight(int row, int column) const {
    const long long i = row * static_cast<long long>(N) + column;
    Operands o;
    o.r.load(r + i);
    o.mid.load(mid + i);
    o.lambda = *lambda;
    return o;
  }
  __device__ void finish(float (&sums)[8], const Operands &o) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      sums[i] = (*this)(sums[i], Operand{o.r[i], o.mid[i], o.lambda});
  }
};
