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
  static constexpr int slices = // threads that merge an output
      share > decodeThreads ? 1 : least(decodeThreads / powerOfTwo(share), powerOfTwo(partials));
  static constexpr int state = DecodeState<T, group, D>::sharedFloats;

  T *ringTiles;             // [warps][slots]
  T *freshKey, *freshValue; // [D]: the new position
  Query query;
  float *totals;   // [partials][group]: sums of weights
  float *sums;     // [partials][share]
  Barrier *merged; // counts the partial results' bytes
  float *states;   // [warps]

  __device__ DecodeLayout(unsigned char *shared, Barrier *merged)
      : ringTiles(reinterpret_cast<T *>(shared)), freshKey(ringTiles + warps * slots * Tile::elements),
        freshValue(freshKey + D), query{reinterpret_cast<float *>(freshValue + D)}, totals(query.data + Query::floats),
        sums(totals + partials * group), merged(merged), states(sums + partials * share) {}

  __device__ Tile tile(int warp, int slot) const {
    return {ringTiles + (warp * slots + slot) * Tile::elements, freshKey, freshValue};
  }
  // Partial results go to the blocks that merge them.
  __device__ void putTotal(int partial, int head, int rank, float total) const {
    clusterStore<blocks>(totals + partial * group + head, rank, total, merged);
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
    expectStores<blocks>(&merged, least(active, Layout::partials) * (share + group) * static_cast<int>(sizeof(float)));
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
  clusterWait<blocks>();
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

  if (warp < warps && rank + warp * blocks < active) {
    DecodeState<T, group, D> state(at.states + warp * Layout::state);
    const DecodeScale weigh(scale, mult, D);
#pragma unroll 1
    for (int j = warp, slot = 0, parity = 0; rank + j * blocks < active; j += warps) {
      typename Layout::Tile tile = at.tile(warp, slot);
      await(&full[warp][slot], parity);
      tile.look(span, (firstTile + rank + j * blocks) * decodeTile);
      state.add(tile, at.query, weigh);
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
        [&](int head, int other, float total) {
          if (other < blocks)
            at.putTotal(partial, head, other, total);
        },
        [&](int head, int d, float sum) { at.putSum(partial, head * D + d, sum); });
  }
  awaitStores<blocks>(&merged);

  // Partial results add up in an order that plan and position alone decide: neighbouring lanes take every so many of
  // them for the same output.
  constexpr int slices = Layout::slices;
  const int partials = least(active, Layout::partials), slice = threadIdx.x % slices;
#pragma unroll 1
  for (int base = 0; base < share; base += decodeThreads / slices) {
    const int i = base + static_cast<int>(threadIdx.x) / slices, output = rank * share + i;
    float sum = 0, total = 0;
#pragma unroll
    for (int p = slice; p < Layout::partials; p += slices)
      if (p < partials && i < share) {
        sum += at.sums[p * share + i];
        total += at.totals[p * group + output / D];
      }
    sum = groupSum<slices>(sum);
    total = groupSum<slices>(total);
    if (slice == 0 && i < share)
      result[output] = fromFloat<T>(__fdividef(sum, total));
  }
}
