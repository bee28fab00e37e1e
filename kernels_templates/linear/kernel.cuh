// linear<T, O, K, N>: y[n, N] = x[n, K] w[N, K]^T, in f32 on the ordinary cores; serves every size.
// Up to 8 rows (decode): one warp per output column; w is read once, in 16-byte vectors, and x comes from L1. More
// rows: tiles of 64 x 64 outputs, 16 of K at a time through shared memory, 4 x 4 outputs a thread. Reductions: over K
// in f32, strided over the lanes then across the warp, or in order of K.

template <typename T, typename O, int K, int N>
__device__ inline void linearFewRows(const T *x, const T *w, O *y, int n) {
  constexpr int lanes = vectorOf<T>(K);
  const long long column = warpIndex();
  if (column >= N)
    return;
  w += column * K;
  float sums[8] = {};
  for (int i = threadIdx.x % 32 * lanes; i < K; i += 32 * lanes) {
    float a[lanes];
    load(w + i, a);
#pragma unroll
    for (int m = 0; m < 8; ++m) {
      if (m >= n)
        break;
      float b[lanes];
      load(x + static_cast<long long>(m) * K + i, b);
#pragma unroll
      for (int l = 0; l < lanes; ++l)
        sums[m] += a[l] * b[l];
    }
  }
#pragma unroll
  for (int m = 0; m < 8; ++m) {
    if (m >= n)
      break;
    const float sum = warpSum(sums[m]);
    if (threadIdx.x % 32 == 0)
      y[static_cast<long long>(m) * N + column] = fromFloat<O>(sum);
  }
}

// Four elements of row `row` from column k on; zero beyond the matrix.
template <typename T, int K>
__device__ inline void linearRead(const T *p, long long row, long long rows, int k, float (&v)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i)
    v[i] = 0;
  if (row >= rows)
    return;
  if constexpr (K % 4 == 0) {
    if (k < K)
      load(p + row * K + k, v);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (k + i < K)
        v[i] = toFloat(p[row * K + k + i]);
  }
}

template <typename T, typename O, int K, int N> __device__ inline void linearTile(const T *x, const T *w, O *y, int n) {
  constexpr int tile = 64, depth = 16;
  // Transposed; the padding keeps 16-byte alignment and spreads the stores over the banks.
  __shared__ __align__(16) float xs[depth][tile + 4], ws[depth][tile + 4];
  const long long row0 = static_cast<long long>(blockIdx.y) * tile, column0 = static_cast<long long>(blockIdx.x) * tile;
  const int readRow = threadIdx.x / 4, readK = threadIdx.x % 4 * 4;
  const int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
  float sums[4][4] = {};
  for (int k = 0; k < K; k += depth) {
    float a[4], b[4];
    linearRead<T, K>(x, row0 + readRow, n, k + readK, a);
    linearRead<T, K>(w, column0 + readRow, N, k + readK, b);
    __syncthreads(); // the previous step's readers are done
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      xs[readK + i][readRow] = a[i];
      ws[readK + i][readRow] = b[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < depth; ++i) {
      load(&xs[i][row], a);
      load(&ws[i][column], b);
#pragma unroll
      for (int r = 0; r < 4; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c)
          sums[r][c] += a[r] * b[c];
    }
  }
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    if (row0 + row + r >= n)
      break;
    O *out = y + (row0 + row + r) * N + column0 + column;
    if constexpr (N % 4 == 0) {
      if (column0 + column < N)
        store(out, sums[r]);
    } else {
#pragma unroll
      for (int c = 0; c < 4; ++c)
        if (column0 + column + c < N)
          out[c] = fromFloat<O>(sums[r][c]);
    }
  }
}

template <typename T, typename O, int K, int N> __device__ void linear(const T *x, const T *w, O *y, int n) {
  if (n <= 8) // as in family.cpp's shape
    linearFewRows<T, O, K, N>(x, w, y, n);
  else
    linearTile<T, O, K, N>(x, w, y, n);
}
