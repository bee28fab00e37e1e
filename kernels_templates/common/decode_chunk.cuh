// One chunk of decode attention by one warp, and the shared memory of a block.

constexpr int decodeWarps = 4, decodeThreads = 32 * decodeWarps;

// bf16 heads of whole 32 elements go to the tensor cores.
template <typename T> constexpr bool decodeIsBf16 = false;
template <> constexpr bool decodeIsBf16<bf16> = true;

// Keep in step with attention_decode/shape.h. Chunks are aligned to positions, so that a chunk does not depend on the
// batch; `ring` neighbouring positions touch at most `chunks` of them, `local` of which are a block's.
template <typename T, int group, int D, int ring, int chunk, int cluster> struct DecodeLayout {
  static constexpr bool tensor = decodeIsBf16<T> && D % 32 == 0 && D <= 256;
  static constexpr int pitch = D + 16 / static_cast<int>(sizeof(T)); // elements; neighbouring rows: other banks
  static constexpr int chunks = (ring + chunk - 2) / chunk + 1, local = (chunks + cluster - 1) / cluster;
  static constexpr int tile = 2 * chunk * pitch, tileBytes = tile * static_cast<int>(sizeof(T));
  static constexpr int wanted = (local + decodeWarps - 1) / decodeWarps, room = (72 << 10) / (tileBytes * decodeWarps);
  static constexpr int slots = least(wanted, room < 1 ? 1 : room); // tiles of a warp at a time
  static constexpr int share = group * D / cluster;                // outputs that a block merges
  static constexpr int queryRows = (group + 7) / 8 * 8;

  T *tiles;                  // [warps][slots][2][chunk][pitch]
  T *freshKey, *freshValue;  // [D]: the new position
  float *query;              // [group][D]; tensor: upper and lower halves in bf16, [2][queryRows][pitch]
  float *stats;              // [chunks][group][2]: maximum, sum
  float *sums;               // [chunks][share]

  __device__ explicit DecodeLayout(unsigned char *shared)
      : tiles(reinterpret_cast<T *>(shared)), freshKey(tiles + decodeWarps * slots * tile), freshValue(freshKey + D),
        query(reinterpret_cast<float *>(freshValue + D)), stats(query + queryFloats), sums(stats + chunks * group * 2) {}

  static constexpr int queryFloats = tensor ? queryRows * pitch : group * D;

  __device__ T *keys(int warp, int slot) const { return tiles + (warp * slots + slot) * tile; }
  __device__ T *values(int warp, int slot) const { return keys(warp, slot) + chunk * pitch; }
  __device__ void clearQuery() const {
    if (tensor)
      for (int i = threadIdx.x; i < queryFloats; i += decodeThreads)
        query[i] = 0;
    if (tensor)
      __syncthreads();
  }
  // The query is f32; as two bf16 it keeps 16 bits.
  __device__ void putQuery(int head, int d, float x) const {
    if constexpr (tensor) {
      bf16 *upper = reinterpret_cast<bf16 *>(query) + head * pitch + d;
      *upper = fromFloat<bf16>(x);
      upper[queryRows * pitch] = fromFloat<bf16>(x - toFloat(*upper));
    } else {
      query[head * D + d] = x;
    }
  }
};

__device__ inline void decodeMma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline unsigned decodePack(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

template <typename T, int group, int D, int ring, int chunk, int cluster> struct DecodeChunk {
  using Layout = DecodeLayout<T, group, D, ring, chunk, cluster>;
  static constexpr int pitch = Layout::pitch, share = Layout::share;
  const Layout &at;
  __device__ explicit DecodeChunk(const Layout &at) : at(at) {}

  // Chunk k of the active ones, for all heads of the group: its positions [from, to), of which `fresh` is the new one.
  // The partial results go to the blocks that merge them.
  __device__ void run(int k, const T *keys, const T *values, int from, int to, int fresh, float scale) const {
    if constexpr (Layout::tensor)
      for (int first = 0; first < group; first += 8)
        runTensor(k, first, keys, values, from, to, fresh, scale);
    else
      for (int head = 0; head < group; ++head)
        runPlain(k, head, keys, values, from, to, fresh, scale);
  }

private:
  __device__ void putStats(int k, int head, int rank, float top, float total) const {
    clusterStore<cluster>(at.stats + (k * group + head) * 2, rank, top);
    clusterStore<cluster>(at.stats + (k * group + head) * 2 + 1, rank, total);
  }
  __device__ void putSum(int k, int head, int d, float sum) const {
    const int output = head * D + d;
    clusterStore<cluster>(at.sums + k * share + output % share, output / share, sum);
  }

  // 8 heads. Operands are split into upper and lower bf16 halves, which are the rows 0 to 7 and 8 to 15 of the first
  // operand of mma m16n8k16: the products are those of the f32 query and weights but for their last 8 bits, at no cost.
  __device__ void runTensor(int k, int first, const T *keys, const T *values, int from, int to, int fresh,
                            float scale) const {
    constexpr int units = D / 32;
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint4 *upper = reinterpret_cast<const uint4 *>(reinterpret_cast<const bf16 *>(at.query) + (first + g) * pitch) + t;
    const uint4 *lower = upper + Layout::queryRows * pitch / 8;
    float out[D / 8][4] = {}, top = -infinity(), total = 0;
#pragma unroll 1
    for (int begin = 0; begin < to; begin += 32) {
      if (begin + 32 <= from)
        continue;
      float scores[4][4] = {};
#pragma unroll
      for (int u = 0; u < units; ++u) {
        // Which k an operand slot means is free: a lane takes 8 neighbours with one load.
        const uint4 a = upper[u * 4], b = lower[u * 4];
        const unsigned low[4] = {a.x, b.x, a.y, b.y}, high[4] = {a.z, b.z, a.w, b.w};
#pragma unroll
        for (int tile = 0; tile < 4; ++tile) {
          const int o = begin + tile * 8 + g;
          const T *key = o == fresh ? at.freshKey : keys + o * pitch;
          const uint4 v = *reinterpret_cast<const uint4 *>(key + u * 32 + t * 8);
          decodeMma(scores[tile], low, v.x, v.y);
          decodeMma(scores[tile], high, v.z, v.w);
        }
      }
      // This lane's positions: 2 t and 2 t + 1 of each tile, of head g.
      float weights[4][2], higher = top;
#pragma unroll
      for (int tile = 0; tile < 4; ++tile)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int o = begin + tile * 8 + t * 2 + i;
          weights[tile][i] = o >= from && o < to ? scale * (scores[tile][i] + scores[tile][i + 2]) : -infinity();
          higher = fmaxf(higher, weights[tile][i]);
        }
      higher = fmaxf(higher, __shfl_xor_sync(0xffffffffu, higher, 1));
      higher = fmaxf(higher, __shfl_xor_sync(0xffffffffu, higher, 2));
      const float shrink = expf(top - higher);
      top = higher;
      float sum = 0;
      unsigned lowers[4], uppers[4];
#pragma unroll
      for (int tile = 0; tile < 4; ++tile) {
        float &a = weights[tile][0], &b = weights[tile][1];
        a = expf(a - top);
        b = expf(b - top);
        sum += a + b;
        uppers[tile] = decodePack(a, b);
        lowers[tile] = decodePack(a - __uint_as_float(uppers[tile] << 16), b - __uint_as_float(uppers[tile] & 0xffff0000u));
      }
      total = total * shrink + groupSum<4>(sum);
      if (begin > 0)
#pragma unroll
        for (int i = 0; i < D / 8; ++i)
#pragma unroll
          for (int l = 0; l < 4; ++l)
            out[i][l] *= shrink;
#pragma unroll
      for (int half = 0; half < 2; ++half) { // 16 positions
        const unsigned a[4] = {uppers[half * 2], lowers[half * 2], uppers[half * 2 + 1], lowers[half * 2 + 1]};
        const int o = begin + half * 16 + lane % 16;
        const T *value = o == fresh ? at.freshValue : values + o * pitch;
        const unsigned address = sharedAddress(value + lane / 16 * 8);
#pragma unroll
        for (int i = 0; i < D / 16; ++i) {
          unsigned v[4];
          asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                       : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                       : "r"(address + i * 32)
                       : "memory");
          decodeMma(out[i * 2], a, v[0], v[1]);
          decodeMma(out[i * 2 + 1], a, v[2], v[3]);
        }
      }
    }
    const int head = first + g;
    if (head >= group)
      return;
    for (int rank = t; rank < cluster; rank += 4)
      putStats(k, head, rank, top, total);
#pragma unroll
    for (int i = 0; i < D / 8; ++i) {
      putSum(k, head, i * 8 + t * 2, out[i][0] + out[i][2]);
      putSum(k, head, i * 8 + t * 2 + 1, out[i][1] + out[i][3]);
    }
  }

  // 32 positions at a time: a group of lanes per position, 16 bytes of a key a lane; afterwards each lane holds the
  // weight of one position.
  __device__ void runPlain(int k, int head, const T *keys, const T *values, int from, int to, int fresh,
                           float scale) const {
    constexpr int width = 16 / sizeof(T), vectors = D / width;
    constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, perStep = 32 / lanes;
    const int lane = threadIdx.x % 32, part = lane % lanes, sub = lane / lanes;
    float top = -infinity(), total = 0, out[pieces][width] = {};
#pragma unroll 1
    for (int begin = 0; begin < to; begin += 32) {
      if (begin + 32 <= from)
        continue;
      float score = -infinity();
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = begin + i * perStep + sub;
        const T *key = o == fresh ? at.freshKey : keys + o * pitch;
        float sum = 0;
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (part + p * lanes < vectors) {
            float v[width];
            load(key + (part + p * lanes) * width, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              sum += at.query[head * D + (part + p * lanes) * width + l] * v[l];
          }
        sum = groupSum<lanes>(sum);
        if (part == i && o >= from && o < to)
          score = scale * sum;
      }
      const float higher = fmaxf(top, warpMax(score)), shrink = expf(top - higher), weight = expf(score - higher);
      top = higher;
      total = total * shrink + warpSum(weight);
#pragma unroll
      for (int p = 0; p < pieces; ++p)
#pragma unroll
        for (int l = 0; l < width; ++l)
          out[p][l] *= shrink;
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = begin + i * perStep + sub;
        const float w = __shfl_sync(0xffffffffu, weight, sub * lanes + i);
        const T *value = o == fresh ? at.freshValue : values + o * pitch;
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (part + p * lanes < vectors) {
            float v[width];
            load(value + (part + p * lanes) * width, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              out[p][l] += w * v[l];
          }
      }
    }
    for (int rank = lane; rank < cluster; rank += 32)
      putStats(k, head, rank, top, total);
#pragma unroll
    for (int p = 0; p < pieces; ++p)
#pragma unroll
      for (int l = 0; l < width; ++l) {
        float sum = out[p][l];
#pragma unroll
        for (int offset = lanes; offset < 32; offset *= 2)
          sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        if (sub == 0 && part + p * lanes < vectors)
          putSum(k, head, (part + p * lanes) * width + l, sum);
      }
  }
};
