// Decode attention, one token per row: what attention_decode and attention_decode_ve share; the former's kernel.cuh
// says what it computes, common/decode_chunk.cuh how a warp does its part.

constexpr int decodeWarps = 4, decodeThreads = 32 * decodeWarps;

// The shared memory of a block. Keep in step with attention_decode/shape.h. Each warp of a cluster gives one partial
// result.
template <typename T, int group, int D, int ring, int cluster> struct DecodeLayout {
  using Tile = DecodeTile<T, D>;
  using Query = DecodeQuery<T, group, D>;
  static constexpr int tiles = (ring + decodeTile - 1) / decodeTile;
  static constexpr int local = (tiles + cluster - 1) / cluster; // of a block, of a whole cluster
  static constexpr int warps = least(local, decodeWarps);       // that have any
  static constexpr int room = (72 << 10) / (Tile::bytes * warps);
  static constexpr int slots = least((local + warps - 1) / warps, room < 1 ? 1 : room); // tiles of a warp at a time
  // Without clusters the first block of each does it all.
#if __CUDA_ARCH__ >= 900
  static constexpr int blocks = cluster;
#else
  static constexpr int blocks = 1;
#endif
  static constexpr int share = group * D / blocks; // outputs that a block merges
  static constexpr int partials = warps * blocks;
  static constexpr int state = DecodeState<T, group, D>::sharedFloats;

  T *ringTiles;             // [warps][slots]
  T *freshKey, *freshValue; // [D]: the new position
  Query query;
  float *stats;    // [partials][group][2]: maximum, sum
  float *sums;     // [partials][share]
  Barrier *merged; // counts the partial results' bytes
  float *states;   // [warps]

  __device__ DecodeLayout(unsigned char *shared, Barrier *merged)
      : ringTiles(reinterpret_cast<T *>(shared)), freshKey(ringTiles + warps * slots * Tile::elements),
        freshValue(freshKey + D), query{reinterpret_cast<float *>(freshValue + D)}, stats(query.data + Query::floats),
        sums(stats + partials * group * 2), merged(merged), states(sums + partials * share) {}

  __device__ Tile tile(int warp, int slot) const {
    return {ringTiles + (warp * slots + slot) * Tile::elements, freshKey, freshValue};
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

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int cluster, typename Gate>
__device__ inline void decodeAttention(const T *qkv, const P *table, const int *rows, const int *positions, T *kv, T *y,
                                       float mult, int window, float scale, int n, Gate gate) {
  constexpr int group = heads / kv_heads;
  using Layout = DecodeLayout<T, group, D, ring, cluster>;
  constexpr int blocks = Layout::blocks, slots = Layout::slots, share = Layout::share, warps = Layout::warps;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ Barrier full[warps][slots], merged;
  const Layout at(shared, &merged);

  startConsumers();
  const int rank = static_cast<int>(blockIdx.x) % cluster, owner = static_cast<int>(blockIdx.x) / cluster;
  const int kvHead = owner % kv_heads, t = owner / kv_heads, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const int row = rows[t], position = positions[t];
  const DecodeSpan<ring> span(position, window);
  const int firstTile = span.firstTile(), active = span.lastTile() - firstTile + 1;
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
    at.tile(warp, slot)
        .fetch(ringKeys, ringValues, span, (firstTile + rank + j * blocks) * decodeTile, &full[warp][slot]);
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
  DecodeHead<D> angles;
  angles.load(table + static_cast<long long>(position) * D);
  const bool newest = (span.slot / decodeTile - firstTile) % blocks == rank;
  if (newest && warp == (group + 1) % decodeWarps)
    gate.prefetch(t, kvHead);
  awaitProducers();

  // The queries, and the new key and value where this block has the new position: a warp per head.
  const T *x = qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
#pragma unroll 1
  for (int item = warp; item < group + 2 * newest; item += decodeWarps) {
    DecodeHead<D> head;
    head.load(x + (item < group ? kvHead * group + item : heads + kvHead + (item - group) * kv_heads) * D);
    if (item == group + 1)
      gate.add(t, kvHead, head);
    else
      head.place(angles, mult);
    T *slot = (item == group ? ringKeys : ringValues) + static_cast<long long>(span.slot) * D;
    T *fresh = item == group ? at.freshKey : at.freshValue;
    head.each([&](int d, float value) {
      if (item < group)
        at.query.put(item, d, value);
      else
        slot[d] = fresh[d] = fromFloat<T>(value);
    });
  }
  __syncthreads();
  clusterWait<blocks>();

  if (warp < warps && rank + warp * blocks < active) {
    DecodeState<T, group, D> state(at.states + warp * Layout::state);
#pragma unroll 1
    for (int j = warp, slot = 0, parity = 0; rank + j * blocks < active; j += warps) {
      typename Layout::Tile tile = at.tile(warp, slot);
      await(&full[warp][slot], parity);
      tile.look(span, (firstTile + rank + j * blocks) * decodeTile);
      state.add(tile, at.query, scale * 1.4426950408889634f);
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
    const int partial = rank + warp * blocks;
    state.put(
        [&](int head, int other, float top, float total) {
          if (other < blocks)
            at.putStats(partial, head, other, top, total);
        },
        [&](int head, int d, float sum) { at.putSum(partial, head * D + d, sum); });
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
