// Decode attention of a batch: what attention_batch and attention_batch_ve share; the former's kernel.cuh says what it
// computes, common/decode_chunk.cuh how a warp does a tile.

// One warp's shared memory; keep in step with attention_batch/shape.h.
template <typename T, int group, int D> struct BatchLayout {
  using Tile = DecodeTile<T, D>;
  using Query = DecodeQuery<T, group, D>;
  static constexpr int bytes =
      Tile::bytes + 2 * D * static_cast<int>(sizeof(T)) + Query::floats * static_cast<int>(sizeof(float));
  static constexpr int warps = least(8, (96 << 10) / bytes);
  static constexpr int record = D + 4; // floats of a head's partial result: out, sum of weights, and up to 16 bytes
};

// A warp's way through its work: rows in their order, heads of a row, chunks of a head, tiles of a chunk.
template <int kv_heads, int ring, int chunk> struct BatchPlace {
  static constexpr int tiles = chunk / decodeTile;

  const int *rows, *positions;
  int window;
  int t, row, head, part; // part: the chunk, counted from the ring's start
  int tile, lastTile;
  int left; // chunks, this one included
  DecodeSpan<ring> span;

  __device__ int firstPart() const { return span.firstTile() / tiles; }
  __device__ int parts() const { return span.lastTile() / tiles - firstPart() + 1; }
  __device__ bool holdsNewest() const { return span.slot / chunk == part; }

  // The row of slot `t` from its first chunk on.
  __device__ void openRow() {
    row = rows[t];
    span = DecodeSpan<ring>(positions[t], window);
    head = 0;
    part = firstPart();
  }
  __device__ void openPart() {
    tile = part * tiles > span.firstTile() ? part * tiles : span.firstTile();
    lastTile = least(part * tiles + tiles - 1, span.lastTile());
  }
  __device__ int partsOf(int t) const {
    const DecodeSpan<ring> other(positions[t], window);
    return rows[t] < 0 ? 0 : other.lastTile() / tiles - other.firstTile() / tiles + 1;
  }

  // The share of worker `own` of `workers` in the chunks of all rows of `n`: as many as others have, or one more.
  __device__ BatchPlace(const int *rows, const int *positions, int window, int n, int own, int workers)
      : rows(rows), positions(positions), window(window) {
    // A lane counts a few neighbouring rows.
    const int lane = threadIdx.x % 32, few = (n + 31) / 32, end = least(lane * few + few, n);
    int upTo = 0;
#pragma unroll 2
    for (int i = lane * few; i < end; ++i)
      upTo += partsOf(i);
#pragma unroll 1
    for (int offset = 1; offset < 32; offset *= 2) {
      const int before = __shfl_up_sync(0xffffffffu, upTo, offset);
      upTo += lane >= offset ? before : 0;
    }
    const unsigned all = static_cast<unsigned>(__shfl_sync(0xffffffffu, upTo, 31)) * kv_heads;
    const int each = static_cast<int>(all / workers), more = static_cast<int>(all % workers);
    left = each + (own < more);
    if (left == 0)
      return;
    int skip = each * own + least(own, more);
    // The first row that ends behind them.
    const unsigned lanes = __ballot_sync(0xffffffffu, upTo * kv_heads <= skip);
    const int first = __popc(lanes), before = __shfl_sync(0xffffffffu, upTo, first > 0 ? first - 1 : 0);
    t = first * few;
    skip -= first > 0 ? before * kv_heads : 0;
#pragma unroll 1
    for (int count; (count = partsOf(t) * kv_heads) <= skip; ++t)
      skip -= count;
    openRow();
    const int ofHead = parts();
#pragma unroll 1
    for (; skip >= ofHead; ++head)
      skip -= ofHead;
    part += skip;
    openPart();
  }

  __device__ void nextPart() {
    if (--left == 0)
      return;
    if (span.lastTile() / tiles > part) {
      ++part;
    } else if (++head < kv_heads) {
      part = firstPart();
    } else {
      do
        ++t;
      while (rows[t] < 0);
      openRow();
    }
    openPart();
  }
  __device__ void nextTile() {
    if (++tile > lastTile)
      nextPart();
  }
};

// out[d] of a head from the partial results of its chunks, in their order, by a warp. f32 sums.
template <int D, typename T> __device__ inline void mergeParts(const float *parts, int stride, int count, T *out) {
  constexpr int pieces = D / 32;
  const int lane = threadIdx.x % 32;
  float sums[pieces] = {}, total = 0;
#pragma unroll 4
  for (int i = 0; i < count; ++i) {
    const float *part = parts + i * stride;
    total += part[D];
#pragma unroll
    for (int p = 0; p < pieces; ++p)
      sums[p] += part[p * 32 + lane];
  }
#pragma unroll
  for (int p = 0; p < pieces; ++p)
    out[p * 32 + lane] = fromFloat<T>(__fdividef(sums[p], total));
}

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk, int blocks, typename Gate>
__device__ inline void decodeBatch(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                   unsigned *counters, float *partials, T *y, float mult, int window, float scale,
                                   int n, Gate gate) {
  constexpr int group = heads / kv_heads;
  using Layout = BatchLayout<T, group, D>;
  using Place = BatchPlace<kv_heads, ring, chunk>;
  constexpr int warps = Layout::warps, workers = warps * blocks, record = Layout::record;
  constexpr int mostParts = (ring + chunk - 1) / chunk;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ Barrier full[warps];

  startConsumers();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // Blocks differ by a chunk at most, whatever there is.
  const int worker = warp * blocks + static_cast<int>(blockIdx.x);
  if (lane == 0)
    initBarrier(&full[warp], copyArrivals);
  publishBarriers();
  __syncwarp();
  T *data = reinterpret_cast<T *>(shared + warp * Layout::bytes);
  T *freshKey = data + Layout::Tile::elements, *freshValue = freshKey + D;
  typename Layout::Tile tile{data, freshKey, freshValue};
  const typename Layout::Query query{reinterpret_cast<float *>(freshValue + D)};

  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait. So are the
  // positions before the new one.
  Place now(rows, positions, window, n, worker, workers);
  auto keysOf = [&] { return kv + (static_cast<long long>(now.row) * 2 * kv_heads + now.head) * ring * D; };
  constexpr long long toValues = static_cast<long long>(kv_heads) * ring * D;
  auto fetch = [&] { tile.fetch(keysOf(), keysOf() + toValues, now.span, now.tile * decodeTile, &full[warp]); };
  if (now.left)
    fetch();
  awaitProducers();

#pragma unroll 1
  for (int t = worker; t < n; t += workers)
    if (rows[t] < 0)
#pragma unroll 1
      for (int i = lane; i < heads * D; i += 32)
        y[static_cast<long long>(t) * heads * D + i] = fromFloat<T>(0);

  bool anew = true; // another row or head than before
#pragma unroll 1
  for (unsigned parity = 0; now.left;) {
    const int owner = now.t * kv_heads + now.head, parts = now.parts(), index = now.part - now.firstPart();
    const bool newest = now.holdsNewest();
    if (newest)
      gate.prefetch(now.t, now.head);
    if (anew || newest) {
      DecodeHead<D> angles;
      angles.load(table + static_cast<long long>(positions[now.t]) * D);
      const T *x = qkv + static_cast<long long>(now.t) * (heads + 2 * kv_heads) * D;
#pragma unroll 1
      for (int item = anew ? 0 : group; item < group + 2 * newest; ++item) {
        DecodeHead<D> head;
        head.load(x + (item < group ? now.head * group + item : heads + now.head + (item - group) * kv_heads) * D);
        if (item == group + 1)
          gate.add(now.t, now.head, head);
        else
          head.place(angles, mult);
        T *slot = keysOf() + (item - group) * toValues + static_cast<long long>(now.span.slot) * D;
        T *fresh = freshKey + (item - group) * D;
        head.each([&](int d, float value) {
          if (item < group)
            query.put(item, d, value);
          else
            slot[d] = fresh[d] = fromFloat<T>(value);
        });
      }
      __syncwarp();
    }

    DecodeState<T, group, D> state(nullptr);
    const DecodeScale weigh(scale, mult, D);
#pragma unroll 1
    for (int last = now.lastTile, i = now.tile; i <= last; ++i, parity ^= 1) {
      await(&full[warp], parity);
      tile.look(now.span, i * decodeTile);
      state.add(tile, query, weigh);
      __syncwarp(); // the tile has been read
      now.nextTile();
      if (now.left)
        fetch();
    }

    // From here on `now` is the next chunk.
    float *all = partials + static_cast<long long>(owner) * mostParts * group * record;
    float *part = all + index * group * record;
    state.put(
        [&](int head, int other, float total) {
          if (other == 0)
            part[head * record + D] = total;
        },
        [&](int head, int d, float sum) { part[head * record + d] = sum; });
    __syncwarp();
    bool last = true; // of the chunks of this head
    if (parts > 1) {
      unsigned ticket = 0;
      if (lane == 0) {
        ticket = takeTicket(counters + owner);
        if (static_cast<int>(ticket) == parts - 1)
          counters[owner] = 0;
      }
      last = __shfl_sync(0xffffffffu, static_cast<int>(ticket), 0) == parts - 1;
    }
    __syncwarp();
    if (last)
#pragma unroll 1
      for (int head = 0; head < group; ++head)
        mergeParts<D>(all + head * record, group * record, parts,
                      y + (static_cast<long long>(owner) * group + head) * D);
    anew = owner != now.t * kv_heads + now.head;
  }
}
