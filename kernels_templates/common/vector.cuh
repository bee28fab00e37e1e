// Vector access: loads and stores of up to 16 bytes that convert from and to f32. Buffers are aligned to 16 bytes or
// more. Plain loads on purpose: under programmatic dependent launch an activation is not read-only for a kernel's
// lifetime, so it must never become ld.global.nc.

template <int bytes> struct Word;
template <> struct Word<2> { using Type = unsigned short; };
template <> struct Word<4> { using Type = unsigned; };
template <> struct Word<8> { using Type = uint2; };
template <> struct Word<16> { using Type = uint4; };

// Elements per access such that accesses of at most 16 bytes tile a row of `width` elements. Rows then start aligned
// too.
template <typename T> __host__ __device__ constexpr int vectorOf(int width) {
  int lanes = 16 / static_cast<int>(sizeof(T));
  while (width % lanes != 0)
    lanes /= 2;
  return lanes;
}

__host__ __device__ constexpr int least(int a, int b) { return a < b ? a : b; }

// The smallest power of two that is at least `count`, but no more than a warp.
__host__ __device__ constexpr int powerOfTwo(int count) {
  int power = 1;
  while (power < count && power < 32)
    power *= 2;
  return power;
}

template <int lanes, typename T> __device__ inline void load(const T *p, float (&x)[lanes]) {
  union {
    typename Word<lanes * sizeof(T)>::Type word;
    T element[lanes];
  } u;
  u.word = *reinterpret_cast<const typename Word<lanes * sizeof(T)>::Type *>(p);
#pragma unroll
  for (int i = 0; i < lanes; ++i)
    x[i] = toFloat(u.element[i]);
}

template <int lanes, typename T> __device__ inline void store(T *p, const float (&x)[lanes]) {
  union {
    typename Word<lanes * sizeof(T)>::Type word;
    T element[lanes];
  } u;
#pragma unroll
  for (int i = 0; i < lanes; ++i)
    u.element[i] = fromFloat<T>(x[i]);
  *reinterpret_cast<typename Word<lanes * sizeof(T)>::Type *>(p) = u.word;
}

// The unit of work of this thread or warp, when each has one.
__device__ inline long long threadIndex() { return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline long long warpIndex() { return threadIndex() / 32; }

// y[i] = f(a[i]) for i < count; a thread does one 16-byte vector, the last one element by element.
template <typename T, typename F> __device__ inline void mapElements(int count, T *y, const T *a, F f) {
  constexpr int lanes = vectorOf<T>(16);
  const long long first = threadIndex() * lanes;
  if (first + lanes <= count) {
    float x[lanes];
    load(a + first, x);
#pragma unroll
    for (int i = 0; i < lanes; ++i)
      x[i] = f(x[i]);
    store(y + first, x);
  } else {
    for (long long i = first; i < count; ++i)
      y[i] = fromFloat<T>(f(toFloat(a[i])));
  }
}

// y[i] = f(a[i], b[i]) for i < count, likewise.
template <typename T, typename F> __device__ inline void mapElements(int count, T *y, const T *a, const T *b, F f) {
  constexpr int lanes = vectorOf<T>(16);
  const long long first = threadIndex() * lanes;
  if (first + lanes <= count) {
    float x[lanes], z[lanes];
    load(a + first, x);
    load(b + first, z);
#pragma unroll
    for (int i = 0; i < lanes; ++i)
      x[i] = f(x[i], z[i]);
    store(y + first, x);
  } else {
    for (long long i = first; i < count; ++i)
      y[i] = fromFloat<T>(f(toFloat(a[i]), toFloat(b[i])));
  }
}
