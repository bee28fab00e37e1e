// The part of decode attention that one warp does, and the shared memory of a block.

constexpr int decodeWarps = 4, decodeThreads = 32 * decodeWarps;
constexpr int decodeTile = 32; // positions that a warp does at a time

// bf16 heads of whole 32 elements go to the tensor cores.
template <typename T> constexpr bool decodeIsBf16 = false;
template <> constexpr bool decodeIsBf16<bf16> = true;

// Keep in step with attention_decode/shape.h. Tiles are aligned to positions; `ring` neighbouring positions touch at
// most `tiles` of them. Each warp of a cluster gives one partial result.
template <typename T, int group, int D, int ring, int cluster> struct DecodeLayout {
  static constexpr bool tensor = decodeIsBf16<T> && D % 32 == 0 && D <= 256;
  static constexpr int pitch = D + 16 / static_cast<int>(sizeof(T)); // elements; neighbouring rows: other banks
  static constexpr int tiles = (ring + decodeTile - 2) / decodeTile + 1;
  static constexpr int tile = 2 * decodeTile * pitch, tileBytes = tile * static_cast<int>(sizeof(T));
  static constexpr int local = (tiles + cluster - 1) / cluster; // of a block, of a whole cluster
  static constexpr int warps = least(local, decodeWarps);       // that have any
  static constexpr int room = (72 << 10) / (tileBytes * warps);
  static constexpr int slots = least((local + warps - 1) / warps, room < 1 ? 1 : room); // tiles of a warp at a time
  // Without clusters the first block of each does it all.
#if __CUDA_ARCH__ >= 900
  static constexpr int blocks = cluster;
#else
  static constexpr int blocks = 1;
#endif
  static constexpr int share = group * D / blocks; // outputs that a block merges
  static constexpr int partials = warps * blocks;
  static constexpr int queryFloats = tensor ? 8 * pitch : group * D;

  T *ringTiles;             // [warps][slots][2][decodeTile][pitch]
  T *freshKey, *freshValue; // [D]: the new position
  float *query;             // [group][D]; tensor: upper and lower bits as bf16, [2][8][pitch]
  float *stats;             // [partials][group][2]: maximum, sum
  float *sums;              // [partials][share]
  Barrier *merged;          // counts the partial results' bytes
  float *state;             // unless tensor: [warps][group][D + 2]

  __device__ DecodeLayout(unsigned char *shared, Barrier *merged)
      : ringTiles(reinterpret_cast<T *>(shared)), freshKey(ringTiles + warps * slots * tile), freshValue(freshKey + D),
        query(reinterpret_cast<float *>(freshValue + D)), stats(query + queryFloats),
        sums(stats + partials * group * 2), merged(merged), state(sums + partials * share) {}

  __device__ T *keys(int warp, int slot) const { return ringTiles + (warp * slots + slot) * tile; }
  __device__ T *values(int warp, int slot) const { return keys(warp, slot) + decodeTile * pitch; }

  __device__ void clear() const {
    if constexpr (tensor) { // heads that the group does not have
#pragma unroll 1
      for (int i = threadIdx.x; i < queryFloats; i += decodeThreads)
        query[i] = 0;
      __syncthreads();
    } else {
#pragma unroll 1
      for (int i = threadIdx.x; i < warps * group * (D + 2); i += decodeThreads)
        state[i] = i % (D + 2) == D ? -infinity() : 0;
    }
  }
  // The query is f32; as two bf16 it keeps 16 bits.
  __device__ void putQuery(int head, int d, float x) const {
    if constexpr (tensor) {
      bf16 *upper = reinterpret_cast<bf16 *>(query) + head * pitch + d;
      *upper = fromFloat<bf16>(x);
      upper[8 * pitch] = fromFloat<bf16>(x - toFloat(*upper));
    } else {
      query[head * D + d] = x;
    }
  }
  // Partial results go to the blocks that merge them.
  __device__ void putStats(int partial, int head, int rank, float top, float total) const {
    clusterStore<blocks>(stats + (partial * group + head) * 2, rank, top, merged);
    clusterStore<blocks>(stats + (partial * group + head) * 2 + 1, rank, total, merged);
  }
  __device__ void putSum(int partial, unsigned output, float sum) const {
    clusterStore<blocks>(sums + partial * share + output % share, output / share, sum, merged);
  }
};

// (maximum, sum, out) of the tiles so far of one warp, up to 8 heads: products of mma m16n8k16 whose first operand are
// keys and transposed values, so that heads are the narrow side. Queries and weights come as two bf16 each, their upper
// and their lower bits, which keeps 16 bits of them.
template <typename T, int group, int D, int ring, int cluster, bool tensor> struct DecodeState {
  using Layout = DecodeLayout<T, group, D, ring, cluster>;
  // Of the heads 2 (lane % 4) and one more; out: dims lane / 4 and 8 more of each 16.
  float out[D / 16][4] = {}, top[2] = {-infinity(), -infinity()}, total[2] = {};

  // Positions [from, to) of a tile, `fresh` the new one.
  __device__ void add(const Layout &at, const T *keys, const T *values, int from, int to, int fresh, float scale) {
    constexpr int pitch = Layout::pitch;
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint4 *upper = reinterpret_cast<const uint4 *>(reinterpret_cast<const bf16 *>(at.query) + g * pitch) + t;
    const uint4 *lower = upper + pitch; // 8 rows of 16 bytes further
    const uint4 *key[4];                // of positions g, g + 8, ...
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int o = i * 8 + g;
      key[i] = reinterpret_cast<const uint4 *>(o == fresh ? at.freshKey : keys + o * pitch) + t;
    }
    float scores[2][4] = {};
#pragma unroll 2
    for (int u = 0; u < D / 32; ++u) {
      // Which k an operand slot means is free: a lane takes 8 neighbours with one load.
      const uint4 a = upper[u * 4], b = lower[u * 4];
#pragma unroll
      for (int half = 0; half < 2; ++half) { // 16 positions
        const uint4 v = key[half * 2][u * 4], w = key[half * 2 + 1][u * 4];
        const unsigned low[4] = {v.x, w.x, v.y, w.y}, high[4] = {v.z, w.z, v.w, w.w};
        mmaBf16(scores[half], low, a.x, a.y);
        mmaBf16(scores[half], high, a.z, a.w);
        mmaBf16(scores[half], low, b.x, b.y);
        mmaBf16(scores[half], high, b.z, b.w);
      }
    }
    // scores[half][i]: position 16 half + 8 (i / 2) + g of head 2 t + i % 2.
    float shrink[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float higher = top[h];
#pragma unroll
      for (int i = h; i < 8; i += 2) {
        const int o = i / 2 * 8 + g;
        float &score = scores[i / 4][i % 4];
        score = o >= from && o < to ? scale * score : -infinity();
        higher = fmaxf(higher, score);
      }
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2)
        higher = fmaxf(higher, __shfl_xor_sync(0xffffffffu, higher, offset));
      shrink[h] = exp2Fast(top[h] - higher);
      top[h] = higher;
      float sum = 0;
#pragma unroll
      for (int i = h; i < 8; i += 2) {
        float &score = scores[i / 4][i % 4];
        score = exp2Fast(score - higher);
        sum += score;
      }
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, offset);
      total[h] = total[h] * shrink[h] + sum;
    }
#pragma unroll
    for (int i = 0; i < D / 16; ++i)
#pragma unroll
      for (int l = 0; l < 4; ++l)
        out[i][l] *= shrink[l % 2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      unsigned uppers[2], lowers[2]; // of positions 2 t and 2 t + 1, and 8 more, of head g
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float x = scores[half][i * 2], y = scores[half][i * 2 + 1];
        const unsigned packed = packBf16(x, y);
        uppers[i] = transposeMatrix(packed);
        lowers[i] =
            transposeMatrix(packBf16(x - __uint_as_float(packed << 16), y - __uint_as_float(packed & 0xffff0000u)));
      }
      const int o = half * 16 + lane / 16 * 8 + lane % 8;
      const T *value = o == fresh ? at.freshValue : values + o * pitch;
      const unsigned address = sharedAddress(value + lane / 8 % 2 * 8);
#pragma unroll
      for (int i = 0; i < D / 16; ++i) {
        unsigned v[4];
        loadTransposed(v, address + i * 32);
        mmaBf16(out[i], v, uppers[0], uppers[1]);
        mmaBf16(out[i], v, lowers[0], lowers[1]);
      }
    }
  }

  __device__ void put(const Layout &at, int partial) const {
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int head = t * 2 + h;
      if (head >= group)
        break;
      if (g < Layout::blocks)
        at.putStats(partial, head, g, top[h], total[h]);
#pragma unroll
      for (int i = 0; i < D / 8; ++i)
        at.putSum(partial, head * D + i * 8 + g, out[i / 2][i % 2 * 2 + h]);
    }
  }
};

// The same on ordinary cores, with its state in shared memory. A group of lanes per position, 16 bytes of a key a lane;
// afterwards each lane holds the weight of one position.
template <typename T, int group, int D, int ring, int cluster> struct DecodeState<T, group, D, ring, cluster, false> {
  using Layout = DecodeLayout<T, group, D, ring, cluster>;
  static constexpr int width = 16 / sizeof(T), vectors = D / width;
  static constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, perStep = 32 / lanes;

  __device__ void add(const Layout &at, const T *keys, const T *values, int from, int to, int fresh, float scale) {
    const int lane = threadIdx.x % 32, part = lane % lanes, sub = lane / lanes;
#pragma unroll 1
    for (int head = 0; head < group; ++head) {
      float *own = at.state + (threadIdx.x / 32 * group + head) * (D + 2), score = -infinity();
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = i * perStep + sub;
        const T *key = o == fresh ? at.freshKey : keys + o * Layout::pitch;
        float sum = 0;
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (const int d = (part + p * lanes) * width; d < D) {
            float v[width];
            load(key + d, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              sum += at.query[head * D + d + l] * v[l];
          }
        sum = groupSum<lanes>(sum);
        if (part == i && o >= from && o < to)
          score = scale * sum;
      }
      const float top = own[D], higher = fmaxf(top, warpMax(score)), shrink = exp2Fast(top - higher);
      const float weight = exp2Fast(score - higher), total = own[D + 1] * shrink + warpSum(weight);
      float out[pieces][width] = {};
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = i * perStep + sub;
        const float w = __shfl_sync(0xffffffffu, weight, sub * lanes + i);
        const T *value = o == fresh ? at.freshValue : values + o * Layout::pitch;
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (const int d = (part + p * lanes) * width; d < D) {
            float v[width];
            load(value + d, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              out[p][l] += w * v[l];
          }
      }
#pragma unroll
      for (int p = 0; p < pieces; ++p)
#pragma unroll
        for (int l = 0; l < width; ++l) {
#pragma unroll
          for (int offset = lanes; offset < 32; offset *= 2)
            out[p][l] += __shfl_xor_sync(0xffffffffu, out[p][l], offset);
          if (const int d = (part + p * lanes) * width + l; sub == 0 && d < D)
            own[d] = own[d] * shrink + out[p][l];
        }
      __syncwarp(); // all have read the maximum and the sum
      if (lane == 0) {
        own[D] = higher;
        own[D + 1] = total;
      }
      __syncwarp();
    }
  }

  __device__ void put(const Layout &at, int partial) const {
    const float *own = at.state + threadIdx.x / 32 * group * (D + 2);
    for (int head = 0; head < group; ++head, own += D + 2) {
      for (int rank = threadIdx.x % 32; rank < Layout::blocks; rank += 32)
        at.putStats(partial, head, rank, own[D], own[D + 1]);
      for (int d = threadIdx.x % 32; d < D; d += 32)
        at.putSum(partial, head * D + d, own[d]);
    }
  }
};
