// Decode attention, one token per row: what attention_decode and attention_decode_ve share; the former's kernel.cuh
// says what it computes, common/decode_chunk.cuh how a warp does its part.

// Values as the linear layer made them.
struct NoGate {
  __device__ void prefetch(int, int) {}
  template <int pairs> __device__ void add(int, int, float (&)[pairs], float (&)[pairs]) const {}
};

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, typename Gate>
__device__ inline void decodeAttention(const T *qkv, const P *table, const int *rows, const int *positions, T *kv, T *y,
                                       float mult, int window, float scale, int n, Gate gate) {
  constexpr int group = heads / kv_heads, half = D / 2, pairs = (half + 31) / 32;
  using Layout = DecodeLayout<T, group, D, ring, cluster>;
  constexpr int blocks = Layout::blocks, slots = Layout::slots, pitch = Layout::pitch, share = Layout::share,
                warps = Layout::warps;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ Barrier full[warps][slots], merged;
  const Layout at(shared, &merged);

  startConsumers();
  const int rank = static_cast<int>(blockIdx.x) % cluster, owner = static_cast<int>(blockIdx.x) / cluster;
  const int kvHead = owner % kv_heads, t = owner / kv_heads, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const int row = rows[t], position = positions[t], seen = least(window, ring - 1);
  const int first = position > seen ? position - seen : 0, firstTile = first / decodeTile;
  const int active = position / decodeTile - firstTile + 1;
  T *result = y + (static_cast<long long>(t) * heads + kvHead * group) * D;
  if (row < 0) { // all blocks of the cluster
    awaitProducers();
    if (rank == 0)
#pragma unroll 1
      for (int i = threadIdx.x; i < group * D; i += decodeThreads)
        result[i] = fromFloat<T>(0);
    return;
  }
  if (rank >= blocks) {
    awaitProducers();
    return;
  }

  T *ringKeys = kv + (static_cast<long long>(row) * 2 * kv_heads + kvHead) * ring * D;
  T *ringValues = ringKeys + static_cast<long long>(kv_heads) * ring * D;
  // This block's tiles are rank, rank + cluster, ... of the active ones; a warp has every fourth of them to itself.
  // Positions before this one were written in earlier steps, and none of them lies in the slot written now: they are
  // under way before the producers are done.
  auto fetch = [&](int j, int slot) {
    const int base = (firstTile + rank + j * blocks) * decodeTile;
    const int from = base > first ? base : first, to = least(position, base + decodeTile),
              count = to > from ? to - from : 0;
    constexpr int bytes = D * static_cast<int>(sizeof(T));
    Barrier *barrier = &full[warp][slot];
    beginCopies(barrier, 2 * count * bytes);
    // A lane per position: the ring may end between two of them.
    const int p = base + lane;
    const bool old = p >= from && p < to;
    T *key = at.keys(warp, slot) + lane * pitch, *value = at.values(warp, slot) + lane * pitch;
    copyRow(key, ringKeys + p % ring * D, old ? bytes : 0, barrier);
    copyRow(value, ringValues + p % ring * D, old ? bytes : 0, barrier);
    // The product of a weight 0 with what an earlier kernel left must be 0.
    if (!old)
#pragma unroll 1
      for (int d = 0; d < bytes / 16; ++d)
        reinterpret_cast<uint4 *>(value)[d] = make_uint4(0, 0, 0, 0);
    endCopies(barrier);
  };
  if (warp < warps && lane < slots)
    initBarrier(&full[warp][lane], copyArrivals);
  if (threadIdx.x == 0)
    initBarrier(&merged, 1);
  publishBarriers();
  if (threadIdx.x == 0)
    expectStores<blocks>(&merged,
                         least(active, Layout::partials) * (share + 2 * group) * static_cast<int>(sizeof(float)));
  clusterArrive<blocks>(); // that the others are there is known before their shared memory is written
  __syncwarp();
#pragma unroll 1
  for (int slot = 0; slot < slots; ++slot)
    if (warp < warps && rank + (warp + slot * warps) * blocks < active)
      fetch(warp + slot * warps, slot);
  float cosines[pairs], sines[pairs];
#pragma unroll
  for (int i = 0; i < pairs; ++i)
    if (lane + i * 32 < half) {
      cosines[i] = toFloat(table[static_cast<long long>(position) * D + lane + i * 32]);
      sines[i] = toFloat(table[static_cast<long long>(position) * D + half + lane + i * 32]);
    }
  const bool newest = (active - 1) % blocks == rank;
  if (newest && warp == (group + 1) % decodeWarps)
    gate.prefetch(t, kvHead);
  at.clear();
  awaitProducers();

  // Rotation, norm and multiplier of the queries, and of the new key where this block has the new position: a warp per
  // head, a lane per pair. A warp for the new value as well.
  const T *x = qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
#pragma unroll 1
  for (int item = warp; item < group + 2 * newest; item += decodeWarps) {
    const T *in = x + (item < group ? kvHead * group + item : heads + kvHead + (item - group) * kv_heads) * D;
    float a[pairs], b[pairs], squares = 0;
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = lane + i * 32;
      a[i] = d < half ? toFloat(in[d]) : 0;
      b[i] = d < half ? toFloat(in[half + d]) : 0;
    }
    if (item == group + 1) {
      gate.add(t, kvHead, a, b);
    } else {
#pragma unroll
      for (int i = 0; i < pairs; ++i)
        if (lane + i * 32 < half) {
          const float left = a[i], right = b[i];
          a[i] = left * cosines[i] + right * sines[i];
          b[i] = right * cosines[i] - left * sines[i];
          squares += a[i] * a[i] + b[i] * b[i];
        }
      const float factor = mult * rsqrtf(warpSum(squares) / D + 0x1p-23f);
#pragma unroll
      for (int i = 0; i < pairs; ++i) {
        a[i] *= factor;
        b[i] *= factor;
      }
    }
    T *slot = (item == group ? ringKeys : ringValues) + static_cast<long long>(position % ring) * D;
    T *fresh = item == group ? at.freshKey : at.freshValue;
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = lane + i * 32;
      if (d >= half)
        break;
      if (item < group) {
        at.putQuery(item, d, a[i]);
        at.putQuery(item, half + d, b[i]);
      } else {
        slot[d] = fresh[d] = fromFloat<T>(a[i]);
        slot[half + d] = fresh[half + d] = fromFloat<T>(b[i]);
      }
    }
  }
  __syncthreads();
  clusterWait<blocks>();

  if (warp < warps && rank + warp * blocks < active) {
    DecodeState<T, group, D, ring, cluster, Layout::tensor> state;
#pragma unroll 1
    for (int j = warp, slot = 0, parity = 0; rank + j * blocks < active; j += warps) {
      const int base = (firstTile + rank + j * blocks) * decodeTile;
      await(&full[warp][slot], parity);
      state.add(at, at.keys(warp, slot), at.values(warp, slot), base > first ? 0 : first - base,
                least(position + 1 - base, decodeTile), position - base, scale * 1.4426950408889634f);
      const int next = j + slots * warps;
      if (slots * warps * blocks < Layout::tiles && rank + next * blocks < active) {
        __syncwarp(); // the slot has been read
        fetch(next, slot);
      }
      if (++slot == slots) {
        slot = 0;
        parity ^= 1;
      }
    }
    state.put(at, rank + warp * blocks);
  }
  awaitStores<blocks>(&merged);

  // Partial results merge in an order that plan and position alone decide: a lane per partial result weighs it, a lane
  // per output adds them up.
  static_assert(Layout::partials <= 32);
  const int partials = least(active, Layout::partials);
#pragma unroll 1
  for (int i = warp * 32; i < share; i += decodeThreads) {
    const int output = rank * share + i + lane;
    float value = 0;
#pragma unroll 1
    for (int h = (rank * share + i) / D, last = (rank * share + least(i + 32, share) - 1) / D; h <= last; ++h) {
      const bool part = lane < partials;
      const float mine = part ? at.stats[(lane * group + h) * 2] : -infinity();
      const float weight = exp2Fast(mine - warpMax(mine));
      const float total = warpSum(part ? weight * at.stats[(lane * group + h) * 2 + 1] : 0);
      float sum = 0;
#pragma unroll 2
      for (int p = 0; p < partials; ++p) {
        const float w = __shfl_sync(0xffffffffu, weight, p);
        sum += w * (i + lane < share ? at.sums[p * share + i + lane] : 0);
      }
      if (output / D == h)
        value = __fdividef(sum, total);
    }
    if (i + lane < share)
      result[output] = fromFloat<T>(value);
  }
}
