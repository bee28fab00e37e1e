// Matrix times a few vectors, for decode: y[M, N] = epilogue(x[M, K] w[N, K]^T), M from 1 to 8, where streaming w is all the
// work. Weights are constants, so a block has its first 16-byte loads in flight before it waits for its producers.
//
// bf16: tensor cores (mma m16n8k16, f32 sums), which cost nothing here and spare the ordinary cores the conversions. Which k
// an operand slot means is free as long as both operands agree: lane (g, t) takes 8 neighbours of k from row g of x and
// from column g, one 16-byte load each. Rows 0 to 7 of the first operand hold x for the first four of them, rows 8 to 15 x
// for the others, so that both of a unit's products use the registers as loaded; half of each result is not wanted.
// A warp's unit of work is 8 columns x 32 of k: one load a lane. A narrow matrix is split over K between the 8 warps of a
// block, whose sums are added in order; a wide one gives each warp its own columns. 256 threads of at most 128 registers,
// one block an SM: half of it, so that the next kernel's weights stream while this one ends.
// Other types and odd K: a warp per column, in vectors that divide K.

constexpr int gemvWarps = 8;
constexpr int gemvSms = 132; // blocks of a full wave, as in common/gemv.h

// How N columns are spread, as in common/gemv.h.
__host__ __device__ constexpr bool gemvIsWide(int N) { return N >= gemvSms * gemvWarps * 8; }
__host__ __device__ constexpr int gemvColumns(int N) {
  if (gemvIsWide(N))
    return 8;
  const int perBlock = (N + gemvSms - 1) / gemvSms, rounds = (perBlock + 7) / 8;
  return (perBlock + rounds - 1) / rounds;
}

// 16 bytes of weights, or zeros. Volatile: ordered before the wait for the producers.
__device__ inline uint4 gemvWeights(const void *p, bool inside) {
  uint4 v;
  asm volatile("{\n  .reg .pred p;\n  setp.ne.b32 p, %5, 0;\n"
               "  mov.b32 %0, 0;\n  mov.b32 %1, 0;\n  mov.b32 %2, 0;\n  mov.b32 %3, 0;\n"
               "  @p ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n}"
               : "=&r"(v.x), "=&r"(v.y), "=&r"(v.z), "=&r"(v.w)
               : "l"(p), "r"(static_cast<int>(inside)));
  return v;
}

// One unit: sums[0] takes half of its k, sums[1] the other.
__device__ inline void gemvMma(float (&sums)[2][4], uint4 x, uint4 w) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0][0]), "+f"(sums[0][1]), "+f"(sums[0][2]), "+f"(sums[0][3])
      : "r"(x.x), "r"(x.z), "r"(x.y), "r"(x.w), "r"(w.x), "r"(w.y));
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[1][0]), "+f"(sums[1][1]), "+f"(sums[1][2]), "+f"(sums[1][3])
      : "r"(x.x), "r"(x.z), "r"(x.y), "r"(x.w), "r"(w.z), "r"(w.w));
}

__device__ inline float gemvSquares(uint4 x) {
  const unsigned words[4] = {x.x, x.y, x.z, x.w};
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float low = __uint_as_float(words[i] << 16), high = __uint_as_float(words[i] & 0xffff0000u);
    sum += low * low;
    sum += high * high;
  }
  return sum;
}

__device__ inline float gemvScale(float squares, int K) { return rsqrtf(squares / K + 0x1p-23f); }

// `epilogue` says what becomes of a sum: fetch(row, column) reads what the output needs besides, early, and
// epilogue(sum, fetched) is the output.
template <typename O, int K, int N, int M, bool norm, typename E>
__device__ inline void gemvTensor(const bf16 *x, const bf16 *w, O *y, const E &epilogue) {
  constexpr bool wide = gemvIsWide(N);
  constexpr int split = wide ? 1 : gemvWarps; // warps that share a tile of columns
  constexpr int columns = gemvColumns(N), tiles = (N + columns - 1) / columns;
  constexpr int chunks = ((K + 31) / 32 + split - 1) / split; // of a tile, for one warp
  constexpr int perWave = gemvSms * (gemvWarps / split), waves = (tiles + perWave - 1) / perWave;
  constexpr int depth = 10; // loads in flight per lane: what 128 registers hold
  constexpr int groups = (chunks + depth - 1) / depth, length = (chunks + groups - 1) / groups;
  constexpr int batch = groups == 1 ? least(depth / length, waves) : 1; // tiles whose loads are in flight together
  __shared__ float partial[2][gemvWarps][8 * M], squaresOf[gemvWarps][8];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first = wide ? blockIdx.x * gemvWarps + warp : blockIdx.x;
  const int stride = gridDim.x * (gemvWarps / split), rounds = (tiles + stride - 1) / stride;
  auto kOf = [&](int chunk) { return (chunk * split + (wide ? 0 : warp)) * 32 + t * 8; };
  auto weights = [&](int round, int chunk) {
    const int column = (first + round * stride) * columns + g, k = kOf(chunk);
    return gemvWeights(w + static_cast<long long>(column) * K + k, g < columns && column < N && k < K);
  };
  auto input = [&](int chunk) {
    const int k = kOf(chunk);
    return g < M && k < K ? *reinterpret_cast<const uint4 *>(x + g * K + k) : make_uint4(0, 0, 0, 0);
  };

  uint4 flight[batch][length], xs[length];
#pragma unroll
  for (int b = 0; b < batch; ++b)
#pragma unroll
    for (int i = 0; i < length; ++i)
      flight[b][i] = weights(b, i);
  startConsumers();
  awaitProducers();

  float squares = 0, scale = 1;
  for (int round = 0; round < rounds; round += batch) {
#pragma unroll
    for (int b = 0; b < batch; ++b) {
      if (round + b >= rounds)
        break;
      float sums[2][2][4] = {}; // four chains: an mma takes some 30 cycles
      for (int group = 0; group < groups; ++group) {
        if (groups > 1 || (round == 0 && b == 0)) {
#pragma unroll
          for (int i = 0; i < length; ++i) {
            xs[i] = input(group * length + i);
            if (norm && round == 0)
              squares += gemvSquares(xs[i]);
          }
        }
#pragma unroll
        for (int i = 0; i < length; ++i) {
          uint4 &v = flight[b][i];
          gemvMma(sums[i % 2], xs[i], v);
          if (groups > 1 || waves > batch)
            v = group + 1 < groups ? weights(round, (group + 1) * length + i) : weights(round + b + batch, i);
        }
      }
      // This lane's two sums: row g, columns 2t and 2t + 1.
      const float sum[2] = {(sums[0][0][0] + sums[0][1][2]) + (sums[1][0][0] + sums[1][1][2]),
                            (sums[0][0][1] + sums[0][1][3]) + (sums[1][0][1] + sums[1][1][3])};
      const int tile = first + (round + b) * stride;
      if (norm && round == 0 && b == 0)
        squares = groupSum<4>(squares); // of row g
      if constexpr (wide) {
        if (norm && round == 0 && b == 0)
          scale = gemvScale(squares, K);
        const int column = tile * columns + t * 2;
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (g < M && column + j < N)
            y[g * static_cast<long long>(N) + column + j] =
                fromFloat<O>(epilogue(sum[j] * scale, epilogue.fetch(g, column + j)));
      } else {
        const int buffer = (round + b) % 2; // the other one may still be read
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (g < M)
            partial[buffer][warp][g * 8 + t * 2 + j] = sum[j];
        if (norm && round == 0 && b == 0 && t == 0)
          squaresOf[warp][g] = squares;
        const int row = threadIdx.x / 8, column = tile * columns + threadIdx.x % 8;
        const bool mine = row < M && threadIdx.x % 8 < columns && column < N;
        const auto operand = mine ? epilogue.fetch(row, column) : decltype(epilogue.fetch(0, 0))();
        __syncthreads();
        if (mine) {
          if (norm && round == 0 && b == 0) {
            float total = 0;
#pragma unroll
            for (int i = 0; i < gemvWarps; ++i)
              total += squaresOf[i][row];
            scale = gemvScale(total, K);
          }
          float total = 0;
#pragma unroll
          for (int i = 0; i < gemvWarps; ++i)
            total += partial[buffer][i][threadIdx.x];
          y[row * static_cast<long long>(N) + column] =
              fromFloat<O>(epilogue(total * scale, operand));
        }
      }
    }
  }
}

template <typename T, typename O, int K, int N, int M, bool norm, typename E>
__device__ inline void gemvPlain(const T *x, const T *w, O *y, const E &epilogue) {
  constexpr int lanes = vectorOf<T>(K);
  waitForProducers();
  for (int column = static_cast<int>(warpIndex()); column < N; column += gridDim.x * gemvWarps) {
    float sums[M] = {}, squares[M] = {};
#pragma unroll 2
    for (int k = threadIdx.x % 32 * lanes; k < K; k += 32 * lanes) {
      float a[lanes];
      load(w + static_cast<long long>(column) * K + k, a);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        float b[lanes];
        load(x + m * K + k, b);
#pragma unroll
        for (int l = 0; l < lanes; ++l) {
          sums[m] += a[l] * b[l];
          if (norm)
            squares[m] += b[l] * b[l];
        }
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
      float sum = warpSum(sums[m]);
      if (norm)
        sum *= gemvScale(warpSum(squares[m]), K);
      if (threadIdx.x % 32 == 0)
        y[m * static_cast<long long>(N) + column] =
            fromFloat<O>(epilogue(sum, epilogue.fetch(m, column)));
    }
  }
}

template <typename T> constexpr bool gemvIsBf16 = false;
template <> constexpr bool gemvIsBf16<bf16> = true;

template <typename T, typename O, int K, int N, int M, bool norm, typename E>
__device__ inline void gemvRun(const T *x, const T *w, O *y, const E &epilogue) {
  if constexpr (gemvIsBf16<T> && K % 8 == 0)
    gemvTensor<O, K, N, M, norm>(x, w, y, epilogue);
  else
    gemvPlain<T, O, K, N, M, norm>(x, w, y, epilogue);
}
