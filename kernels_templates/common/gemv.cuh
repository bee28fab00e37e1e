// Matrix times a few vectors, for decode: y[M, N] = epilogue(x[M, K] w[N, K]^T), M from 1 to 8, where streaming w is
// all the work.
//
// bf16: a block owns neighbouring columns of the output, which are neighbouring rows of w. One warp streams them into a
// ring of stages in shared memory, up to 8 columns x gemvChunk(K) of k each, and starts before the block's producers
// have ended: weights are constants. The ring and the registers leave half an SM to the next kernel, which streams its
// own weights meanwhile. Eight warps share the k of a stage and multiply by mma m16n8k16 (f32 sums), which costs
// nothing here and spares the ordinary cores the conversions. Which k an operand slot means is free as long as both
// operands agree: lane (g, t) takes 8 neighbours of k from row g of x and from column g, one 16-byte load each; rows 8
// to 15 of the first operand are zeros. At the end of up to gemvTiles tiles the warps' sums are added in order. Other
// types and odd K: a warp per column, in vectors that divide K.
//
// From the arrival of x on every instruction counts, so as much as registers hold is done before: the weights of the
// first stages are in registers by then, and their products, which depend on nothing else, are issued tile by tile in
// turn, since each waits some 30 cycles for the one before in its sum.

constexpr int gemvWarps = 8, gemvConsumers = 32 * gemvWarps;
constexpr int gemvSms = 132;         // blocks of a full wave
constexpr int gemvTiles = 5;         // of 8 columns, whose sums a thread holds at a time
constexpr int gemvVectors = 16;      // of 16 bytes that a thread holds, of x and of weights
constexpr int gemvShared = 96 << 10; // of a block, on every target

// Keep in step with common/gemv.cpp.
__host__ __device__ constexpr int gemvColumns(int N) { return (N + gemvSms - 1) / gemvSms; }
__host__ __device__ constexpr int gemvChunk(int K) { // all alike if that is possible
  const int most = K > 3840 ? 1024 : 1280, least = (K + most - 1) / most;
  for (int chunks = least; chunks < least + 3; ++chunks)
    if (K % (chunks * 256) == 0)
      return K / chunks;
  return ((K + least - 1) / least + 255) / 256 * 256;
}
__host__ __device__ constexpr int gemvPitch(int K) { return gemvChunk(K) * 2 + 64; } // neighbouring rows: other banks
__host__ __device__ constexpr int gemvTilesOf(int N) { return (gemvColumns(N) + 7) / 8; }
__host__ __device__ constexpr int gemvWidth(int N) { // columns of a tile: at most 8, as even as possible
  return (gemvColumns(N) + gemvTilesOf(N) - 1) / gemvTilesOf(N);
}
__host__ __device__ constexpr int gemvHeld(int N) { // tiles of a group, likewise
  const int groups = (gemvTilesOf(N) + gemvTiles - 1) / gemvTiles;
  return (gemvTilesOf(N) + groups - 1) / groups;
}
__host__ __device__ constexpr int gemvPartials(int N, int M) { return gemvWarps * M * 8 * 4 * gemvHeld(N); }
__host__ __device__ constexpr int gemvStages(int K, int N, int M) {
  return least(least(32, gemvTilesOf(N) * ((K + gemvChunk(K) - 1) / gemvChunk(K))), // a lane initialises each
               (gemvShared - gemvPartials(N, M)) / (gemvWidth(N) * gemvPitch(K)));
}

// d += x w of 16 slots of k; the rows 8 to 15 of x are zeros.
__device__ inline void gemvMma(float (&d)[4], unsigned x0, unsigned x1, unsigned w0, unsigned w1) {
  const unsigned x[4] = {x0, 0, x1, 0};
  mmaBf16(d, x, w0, w1);
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

__device__ inline void gemvSync() { groupBarrier<gemvConsumers>(1); }

// `epilogue` says what becomes of a sum: fetch(row, column) reads what the output needs besides, early, and
// epilogue(sum, fetched) is the output.
template <typename O, int K, int N, int M, bool norm, typename E>
__device__ inline void gemvTensor(const bf16 *x, const bf16 *w, O *y, const E &epilogue) {
  constexpr int columns = gemvColumns(N), tiles = gemvTilesOf(N), width = gemvWidth(N), held = gemvHeld(N);
  constexpr int chunk = gemvChunk(K), chunks = (K + chunk - 1) / chunk, pitch = gemvPitch(K);
  constexpr int stages = gemvStages(K, N, M), groups = (tiles + held - 1) / held;
  constexpr bool refill = stages < tiles * chunks;
  constexpr int units = chunk / (32 * gemvWarps);           // of 32 k, for one warp of a stage
  constexpr int depth = chunks > 3 ? 2 : chunks;            // stages of x that a thread has under way
  constexpr bool straight = groups == 1 && chunks <= 3;     // short enough to be unrolled
  constexpr int chains = !straight ? 1 : held <= 3 ? 2 : 1; // sums of a tile
  constexpr int early =
      straight ? least(held * chunks, gemvVectors / units - depth) : 0; // stages in registers before the wait
  extern __shared__ __align__(128) unsigned char shared[];
  float *partial = reinterpret_cast<float *>(shared + stages * width * pitch); // [warps][held][M][8]
  __shared__ Barrier full[stages], empty[stages];
  __shared__ float squaresOf[gemvWarps][8];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = static_cast<int>(blockIdx.x) * columns, end = least(first + columns, N);

  // The start of a kernel runs from cold instruction memory: short code is fast code here, so loops stay loops.
  if (warp == gemvWarps && lane < stages) {
    initBarrier(full + lane, copyArrivals);
    initBarrier(empty + lane, gemvWarps);
  }
  publishBarriers();
  startConsumers();
  __syncthreads();
  int stage = 0;
  unsigned parity = 0;
  auto advance = [&] {
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  };

  if (warp == gemvWarps) { // stages in the order of consumption
    int filled = 0;
#pragma unroll 1
    for (int tiled = 0; tiled < tiles; tiled += held)
#pragma unroll 1
      for (int k = 0; k < K; k += chunk)
#pragma unroll 1
        for (int column = first + tiled * width; column < least(end, first + (tiled + held) * width); column += width) {
          if (refill && filled++ >= stages)
            await(empty + stage, parity ^ 1);
          const int rows = least(end - column, width), bytes = least(K - k, chunk) * 2;
          beginCopies(full + stage, rows * bytes);
          copyRows(shared + stage * width * pitch, pitch, w + static_cast<long long>(column) * K + k, K * 2ll, rows,
                   bytes, full + stage);
          endCopies(full + stage);
          advance();
        }
    return;
  }

  const int g = lane / 4, t = lane % 4;
  auto inputAt = [&](int part, int u) { return part * chunk + (warp + u * gemvWarps) * 32 + t * 8; };
  // Of the next stage, between await(full + stage, parity) and leave().
  auto weightsAt = [&](int part, int u) {
    const unsigned char *from = shared + (stage * width + least(g, width - 1)) * pitch + t * 16;
    if (K % chunk != 0 && inputAt(part, u) >= K)
      return make_uint4(0, 0, 0, 0); // what the stage held before
    return *reinterpret_cast<const uint4 *>(from + (warp + u * gemvWarps) * 64);
  };
  auto leave = [&] {
    if (refill) {
      __syncwarp();
      if (lane == 0)
        arrive(empty + stage);
    }
    advance();
  };
  uint4 kept[early > 0 ? early : 1][units] = {};
#pragma unroll
  for (int i = 0; i < early; ++i)
    if (first + i % held * width < end) {
      await(full + stage, parity);
#pragma unroll
      for (int u = 0; u < units; ++u)
        kept[i][u] = weightsAt(i / held, u);
      leave();
    }
  awaitProducers();

  float squares = 0, scale = 1;
#pragma unroll 1
  for (int group = 0; group < groups; ++group) {
    float sums[held][chains][4] = {};
    constexpr int outputs = held * M * 8, mine = (outputs + gemvConsumers - 1) / gemvConsumers;
    auto rowOf = [](int i) { return i / 8 % M; };
    auto columnOf = [&](int i) { return first + (group * held + i / (8 * M)) * width + i % 8; };
    auto exists = [&](int i) { return i < outputs && i % 8 < width && columnOf(i) < end; };
    auto input = [&](int part, int u) {
      const int k = inputAt(part, u);
      return g < M && k < K ? *reinterpret_cast<const uint4 *>(x + g * K + k) : make_uint4(0, 0, 0, 0);
    };
    uint4 ahead[depth][units];
#pragma unroll
    for (int i = 0; i < depth; ++i)
#pragma unroll
      for (int u = 0; u < units; ++u)
        ahead[i][u] = input(i, u);
    decltype(epilogue.fetch(0, 0)) operands[mine];
    auto fetchOperands = [&] {
#pragma unroll
      for (int j = 0; j < mine; ++j) {
        const int i = threadIdx.x + j * gemvConsumers;
        if (exists(i))
          operands[j] = epilogue.fetch(rowOf(i), columnOf(i));
      }
    };
    // Behind x: who converts what it has fetched waits for it. A long loop has no registers to keep it in.
    if (straight)
      fetchOperands();
#pragma unroll(chunks > 3 ? 1 : chunks)
    for (int part = 0; part < chunks; ++part) {
      uint4(&xs)[units] = ahead[0];
      auto multiplyBy = [&](int tile, int u, uint4 v) {
        const int chain = straight ? (part * units + u) * 2 % chains : 0;
        gemvMma(sums[tile][chain], xs[u].x, xs[u].y, v.x, v.y);
        gemvMma(sums[tile][(chain + 1) % chains], xs[u].z, xs[u].w, v.z, v.w);
      };
#pragma unroll
      for (int u = 0; u < units; ++u)
#pragma unroll
        for (int tile = 0; tile < held; ++tile)
          if (straight && part * held + tile < early)
            multiplyBy(tile, u, kept[part * held + tile][u]);
      if (norm && group == 0)
#pragma unroll
        for (int u = 0; u < units; ++u)
          squares += gemvSquares(xs[u]);
#pragma unroll
      for (int tile = 0; tile < held; ++tile) {
        if (straight && part * held + tile < early)
          continue;
        if (first + (group * held + tile) * width >= end)
          break;
        await(full + stage, parity);
#pragma unroll
        for (int u = 0; u < units; ++u)
          multiplyBy(tile, u, weightsAt(part, u));
        leave();
      }
#pragma unroll
      for (int u = 0; u < units; ++u) {
#pragma unroll
        for (int i = 1; i < depth; ++i)
          ahead[i - 1][u] = ahead[i][u];
        if (chunks > depth)
          ahead[depth - 1][u] = input(part + depth, u);
      }
    }
    if (!straight)
      fetchOperands();
    if (norm && group == 0) {
      squares = groupSum<4>(squares); // of row g
      if (t == 0)
        squaresOf[warp][g] = squares;
    }
    if (g < M)
#pragma unroll
      for (int tile = 0; tile < held; ++tile) {
        float2 sum = make_float2(sums[tile][0][0], sums[tile][0][1]);
#pragma unroll
        for (int chain = 1; chain < chains; ++chain) {
          sum.x += sums[tile][chain][0];
          sum.y += sums[tile][chain][1];
        }
        *reinterpret_cast<float2 *>(partial + ((warp * held + tile) * M + g) * 8 + t * 2) = sum;
      }
    gemvSync();
#pragma unroll
    for (int j = 0; j < mine; ++j) {
      const int i = threadIdx.x + j * gemvConsumers;
      if (!exists(i))
        continue;
      if (norm) {
        float total = 0;
#pragma unroll
        for (int k = 0; k < gemvWarps; ++k)
          total += squaresOf[k][rowOf(i)];
        scale = gemvScale(total, K);
      }
      float sum = 0;
#pragma unroll
      for (int k = 0; k < gemvWarps; ++k)
        sum += partial[k * outputs + i];
      y[rowOf(i) * static_cast<long long>(N) + columnOf(i)] = fromFloat<O>(epilogue(sum * scale, operands[j]));
    }
    if (groups > 1)
      gemvSync(); // before the sums are written again
  }
}

template <typename T, typename O, int K, int N, int M, bool norm, typename E>
__device__ inline void gemvPlain(const T *x, const T *w, O *y, const E &epilogue) {
  constexpr int lanes = vectorOf<T>(K), warps = gemvWarps + 1;
  waitForProducers();
  for (int column = static_cast<int>(warpIndex()); column < N; column += gridDim.x * warps) {
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
        y[m * static_cast<long long>(N) + column] = fromFloat<O>(epilogue(sum, epilogue.fetch(m, column)));
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
