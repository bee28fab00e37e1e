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
  constexpr int slots = Layout::slots, pitch = Layout::pitch, share = Layout::share, warps = Layout::warps;
  extern __shared__ __align__(128) unsigned char shared[];
  const Layout at(shared);
  __shared__ Barrier full[warps][slots];

  const int rank = cluster > 1 ? clusterRank() : 0, owner = static_cast<int>(blockIdx.x) / cluster;
  const int kvHead = owner % kv_heads, t = owner / kv_heads, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const int row = rows[t], position = positions[t], seen = least(window, ring - 1);
  const int first = position > seen ? position - seen : 0, firstTile = first / decodeTile;
  const int active = position / decodeTile - firstTile + 1;
  T *result = y + (static_cast<long long>(t) * heads + kvHead * group) * D;
  if (row < 0) { // all blocks of the cluster
    waitForProducers();
    if (rank == 0)
      for (int i = threadIdx.x; i < group * D; i += decodeThreads)
        result[i] = fromFloat<T>(0);
    return;
  }

  T *ringKeys = kv + (static_cast<long long>(row) * 2 * kv_heads + kvHead) * ring * D;
  T *ringValues = ringKeys + static_cast<long long>(kv_heads) * ring * D;
  // This block's tiles are rank, rank + cluster, ... of the active ones; a warp has every fourth of them to itself.
  // Positions before this one were written in earlier steps, and none of them lies in the slot written now: they are
  // under way before the producers are done.
  auto fetch = [&](int j, int slot) {
    const int base = (firstTile + rank + j * cluster) * decodeTile;
    const int from = base > first ? base : first, to = least(position, base + decodeTile), count = to > from ? to - from : 0;
    const int begin = from % ring, head = least(count, ring - begin), bytes = D * static_cast<int>(sizeof(T));
    T *keys = at.keys(warp, slot), *values = at.values(warp, slot);
    // The product of a weight 0 with what an earlier kernel left must be 0.
    for (int i = lane; i < decodeTile * (D / 8); i += 32)
      if (const int o = i / (D / 8); base + o < from || base + o >= to)
#pragma unroll
        for (int l = 0; l < 8; ++l)
          values[o * pitch + i % (D / 8) * 8 + l] = fromFloat<T>(0);
    Barrier *barrier = &full[warp][slot];
    beginCopies(barrier, 2 * count * bytes);
    const int o = from - base; // the ring may end between
    copyRows(keys + o * pitch, pitch * sizeof(T), ringKeys + begin * D, bytes, head, bytes, barrier);
    copyRows(values + o * pitch, pitch * sizeof(T), ringValues + begin * D, bytes, head, bytes, barrier);
    copyRows(keys + (o + head) * pitch, pitch * sizeof(T), ringKeys, bytes, count - head, bytes, barrier);
    copyRows(values + (o + head) * pitch, pitch * sizeof(T), ringValues, bytes, count - head, bytes, barrier);
    endCopies(barrier);
  };
  clusterArrive<cluster>(); // that the others are there is known before their shared memory is written
  if (warp < warps && lane < slots)
    initBarrier(&full[warp][lane], copyArrivals);
  publishBarriers();
  __syncwarp();
#pragma unroll 1
  for (int slot = 0; slot < slots; ++slot)
    if (warp < warps && rank + (warp + slot * warps) * cluster < active)
      fetch(warp + slot * warps, slot);
  float cosines[pairs], sines[pairs];
#pragma unroll
  for (int i = 0; i < pairs; ++i)
    if (lane + i * 32 < half) {
      cosines[i] = toFloat(table[static_cast<long long>(position) * D + lane + i * 32]);
      sines[i] = toFloat(table[static_cast<long long>(position) * D + half + lane + i * 32]);
    }
  const bool newest = (active - 1) % cluster == rank;
  if (newest && warp == (group + 1) % decodeWarps)
    gate.prefetch(t, kvHead);
  at.clear();
  waitForProducers();

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
  clusterWait<cluster>();

  if (warp < warps && rank + warp * cluster < active) {
    DecodeState<T, group, D, ring, cluster, Layout::tensor> state;
#pragma unroll 1
    for (int j = warp, slot = 0, parity = 0; rank + j * cluster < active; j += warps) {
      const int base = (firstTile + rank + j * cluster) * decodeTile;
      await(&full[warp][slot], parity);
      state.add(at, at.keys(warp, slot), at.values(warp, slot), base > first ? 0 : first - base,
                least(position + 1 - base, decodeTile), position - base, scale);
      const int next = j + slots * warps;
      if (slots * warps < Layout::local && rank + next * cluster < active) {
        __syncwarp(); // the slot has been read
        fetch(next, slot);
      }
      if (++slot == slots) {
        slot = 0;
        parity ^= 1;
      }
    }
    state.put(at, rank + warp * cluster);
  }
  clusterArrive<cluster>();
  clusterWait<cluster>();
  if (cluster == 1)
    __syncthreads();

  // Partial results merge in an order that plan and position alone decide: eight lanes an output.
  constexpr int helpers = 8;
  const int partials = least(active, Layout::partials);
#pragma unroll 1
  for (int i = threadIdx.x / helpers; i < (share + 3) / 4 * 4; i += decodeThreads / helpers) {
    const unsigned output = rank * share + i, h = output / D;
    float top = -infinity(), total = 0, value = 0;
#pragma unroll 4
    for (int p = threadIdx.x % helpers; p < partials; p += helpers)
      if (i < share)
        top = fmaxf(top, at.stats[(p * group + h) * 2]);
#pragma unroll
    for (int offset = helpers / 2; offset > 0; offset /= 2)
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, offset));
#pragma unroll 4
    for (int p = threadIdx.x % helpers; p < partials; p += helpers)
      if (i < share) {
        const float weight = expf(at.stats[(p * group + h) * 2] - top);
        total += weight * at.stats[(p * group + h) * 2 + 1];
        value += weight * at.sums[p * share + i];
      }
    total = groupSum<helpers>(total);
    value = groupSum<helpers>(value);
    if (i < share && threadIdx.x % helpers == 0)
      result[output] = fromFloat<T>(value / total);
  }
}
