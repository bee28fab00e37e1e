// What becomes of a product's sums, as traits that every engine is composed with. fetch(row, column) reads what the
// output needs besides, early, and epilogue(sum, fetched) is the output. fetchEight() and finish() do the same for 8
// neighbours in a row, from a column that is a multiple of 8 on, in rows of a multiple of 8: by 16 bytes of bf16. An
// epilogue is made of the kernel's arguments, by their names.
#pragma once

#include "kernels_templates/device/vector.cuh"

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

// What epilogues share: Self has operator(), Operands have operator[], that of one output.
template <typename Self, typename Eights> struct ByElement {
  using Operands = Eights;
  __device__ void finish(float (&sums)[8], const Operands &o) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      sums[i] = static_cast<const Self &>(*this)(sums[i], o[i]);
  }
};

struct NoOperands {
  __device__ float operator[](int) const { return 0; }
};

// The sum.
template <typename P> struct Plain : ByElement<Plain<P>, NoOperands> {
  template <typename Args> __device__ explicit Plain(const Args &) {}
  __device__ float fetch(int, int) const { return 0; }
  __device__ NoOperands fetchEight(int, int) const { return {}; }
  __device__ float operator()(float sum, float) const { return sum; }
};

// max(sum, 0)^2
template <typename P> struct Relu2 : ByElement<Relu2<P>, NoOperands> {
  template <typename Args> __device__ explicit Relu2(const Args &) {}
  __device__ float fetch(int, int) const { return 0; }
  __device__ NoOperands fetchEight(int, int) const { return {}; }
  // A comparison rather than fmaxf: NaN stays NaN.
  __device__ float operator()(float sum, float) const { return sum < 0 ? 0 : sum * sum; }
};

// r + sum
template <typename P> struct Add : ByElement<Add<P>, Eight<typename P::T>> {
  using T = typename P::T;
  const T *r;
  template <typename Args> __device__ explicit Add(const Args &a) : r(a.r) {}
  __device__ float fetch(int row, int column) const { return toFloat(r[row * static_cast<long long>(P::N) + column]); }
  __device__ float operator()(float sum, float residual) const { return residual + sum; }
  __device__ Eight<T> fetchEight(int row, int column) const {
    Eight<T> o;
    o.load(r + (row * static_cast<long long>(P::N) + column));
    return o;
  }
};

struct MixOperand {
  float r, x0, resid, skip;
};
template <typename T> struct MixOperands {
  Eight<T> r, x0;
  float resid, skip;
  __device__ MixOperand operator[](int i) const { return {r[i], x0[i], resid, skip}; }
};

// resid * (r + sum) + skip * x0
template <typename P> struct Mix : ByElement<Mix<P>, MixOperands<typename P::T>> {
  using T = typename P::T;
  const T *r, *x0;
  const float *resid, *skip;
  template <typename Args>
  __device__ explicit Mix(const Args &a) : r(a.r), x0(a.x0), resid(a.resid + a.layer), skip(a.skip + a.layer) {}
  __device__ MixOperand fetch(int row, int column) const {
    const long long i = row * static_cast<long long>(P::N) + column;
    return {toFloat(r[i]), toFloat(x0[i]), *resid, *skip};
  }
  __device__ float operator()(float sum, const MixOperand &o) const { return o.resid * (o.r + sum) + o.skip * o.x0; }
  __device__ MixOperands<T> fetchEight(int row, int column) const {
    const long long i = row * static_cast<long long>(P::N) + column;
    MixOperands<T> o;
    o.r.load(r + i);
    o.x0.load(x0 + i);
    o.resid = *resid;
    o.skip = *skip;
    return o;
  }
};

// The same, which also stores r + sum.
template <typename P> struct MixSum {
  using T = typename P::T;
  struct Operand : MixOperand {
    long long at;
  };
  struct Operands : MixOperands<T> {
    long long at;
  };
  const Mix<P> mix;
  T *sums;
  template <typename Args> __device__ explicit MixSum(const Args &a) : mix(a), sums(a.sum) {}
  __device__ Operand fetch(int row, int column) const {
    return {mix.fetch(row, column), row * static_cast<long long>(P::N) + column};
  }
  __device__ float operator()(float product, const Operand &o) const {
    const float sum = o.r + product;
    sums[o.at] = fromFloat<T>(sum);
    return o.resid * sum + o.skip * o.x0;
  }
  __device__ Operands fetchEight(int row, int column) const {
    return {mix.fetchEight(row, column), row * static_cast<long long>(P::N) + column};
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

struct BackoutOperand {
  float r, mid, lambda;
};
template <typename T> struct BackoutOperands {
  Eight<T> r, mid;
  float lambda;
  __device__ BackoutOperand operator[](int i) const { return {r[i], mid[i], lambda}; }
};

// r + sum - lambda * mid
template <typename P> struct Backout : ByElement<Backout<P>, BackoutOperands<typename P::T>> {
  using T = typename P::T;
  const T *r, *mid;
  const float *lambda;
  template <typename Args> __device__ explicit Backout(const Args &a) : r(a.r), mid(a.mid), lambda(a.lambda) {}
  __device__ BackoutOperand fetch(int row, int column) const {
    const long long i = row * static_cast<long long>(P::N) + column;
    return {toFloat(r[i]), toFloat(mid[i]), *lambda};
  }
  __device__ float operator()(float sum, const BackoutOperand &o) const { return o.r + sum - o.lambda * o.mid; }
  __device__ BackoutOperands<T> fetchEight(int row, int column) const {
    const long long i = row * static_cast<long long>(P::N) + column;
    BackoutOperands<T> o;
    o.r.load(r + i);
    o.mid.load(mid + i);
    o.lambda = *lambda;
    return o;
  }
};

// Weights with a scale of each of their rows, which are the output's columns: Scaled<Add>::Of is that before Add.
template <template <typename> class Epilogue> struct Scaled {
  template <typename P> struct Of {
    using Next = Epilogue<P>;
    const Next next;
    const float *scales;
    static __device__ const Next &any(); // for its types
    struct Operand {
      decltype(any().fetch(0, 0)) of;
      float scale;
    };
    template <typename Args> __device__ explicit Of(const Args &a) : next(a), scales(a.scales) {}
    __device__ Operand fetch(int row, int column) const { return {next.fetch(row, column), scales[column]}; }
    __device__ float operator()(float sum, const Operand &o) const { return next(sum * o.scale, o.of); }
  };
};
