// Attention of a step of a batch (step_cluster.cuh says what it computes), bf16 heads of whole 32 elements. counters
// [n, kv_heads] are 0 before and after. Memory: chunks of `chunk` slots of the ring, of all rows and heads, are dealt
// out evenly to the warps of a fixed number of blocks, of which each has one tile of 32 slots at a time, the first
// before the wait, the next as soon as the last is read, whatever row it is of. Reductions: each chunk starts anew with
// a (sum of weights, out) in f32 that goes to `partials`; the warp that comes last to a head of a row, by its counter,
// merges them in the order of slots. Chunks and order follow from the position and the parameters alone: a row's result
// does not depend on the batch, nor on which warps work for it. How a warp does a tile: step_tile.cuh.

#pragma once

#include "kernels_templates/attention/step_spread_layout.h"
#include "kernels_templates/attention/step_tile.cuh"
#include "kernels_templates/attention/value_gate.cuh"
#include "kernels_templates/attention/warp_head.cuh"
#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/order.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/vector.cuh"

// A warp's way through its work: rows in their order, heads of a row, chunks of a head, tiles of a chunk.
template <int kv_heads, int ring, int chunk> struct SpreadPlace {
  static constexpr int tiles = chunk / tileSlots;

  const int *rows, *positions;
  int window;
  int t, row, head, part; // part: the chunk, counted from the ring's start
  int tile, lastTile;
  int left; // chunks, this one included
  StepSpan<ring> span;

  __device__ int firstPart() const { return span.firstTile() / tiles; }
  __device__ int parts() const { return span.lastTile() / tiles - firstPart() + 1; }
  __device__ bool holdsNewest() const { return span.slot / chunk == part; }

  // The row of slot `t` from its first chunk on.
  __device__ void openRow() {
    row = rows[t];
    span = StepSpan<ring>(positions[t], window);
    head = 0;
    part = firstPart();
  }
  __device__ void openPart() {
    tile = part * tiles > span.firstTile() ? part * tiles : span.firstTile();
    lastTile = least(part * tiles + tiles - 1, span.lastTile());
  }
  __device__ int partsOf(int t) const {
    const StepSpan<ring> other(positions[t], window);
    return rows[t] < 0 ? 0 : other.lastTile() / tiles - other.firstTile() / tiles + 1;
  }

  // The share of worker `own` of `workers` in the chunks of all rows of `n`: as many as others have, or one more.
  __device__ SpreadPlace(const int *rows, const int *positions, int window, int n, int own, int workers)
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
template <int D, typename T> __device__ inline void mergeSpread(const float *parts, int stride, int count, T *out) {
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

// Engine `spread`: P has T, P (the table's type), heads, kv_heads, D, ring, chunk, blocks, and what the gate needs.
template <typename P, template <typename> class Gate, typename Args>
__device__ inline void stepSpread(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int heads = P::heads, kv_heads = P::kv_heads, D = P::D, ring = P::ring, blocks = P::blocks;
  constexpr int group = heads / kv_heads;
  constexpr kernels::StepSpreadLayout layout(sizeof(T), group, D, ring, P::chunk);
  using Place = SpreadPlace<kv_heads, ring, P::chunk>;
  constexpr int warps = layout.warps, workers = warps * blocks, record = layout.record, mostParts = layout.parts;
  Barrier *full = reinterpret_cast<Barrier *>(shared + layout.barriers);
  Gate<P> gate(a);
  const int *rows = a.rows, *positions = a.positions;
  T *kv = a.kv, *y = a.y;
  const float mult = a.mult;
  const int n = a.n;

  startConsumers();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // Blocks differ by a chunk at most, whatever there is.
  const int worker = warp * blocks + static_cast<int>(grid.block);
  if (lane == 0)
    initBarrier(full + warp, copyArrivals);
  publishBarriers();
  __syncwarp();
  unsigned char *own = shared + warp * layout.warpBytes;
  T *freshKey = reinterpret_cast<T *>(own + layout.fresh), *freshValue = freshKey + D;
  StepTile<T, D> tile{reinterpret_cast<T *>(own), freshKey, freshValue};
  const StepQuery<T, group, D> query{reinterpret_cast<float *>(own + layout.queries)};

  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait. So are the
  // positions before the new one.
  Place now(rows, positions, a.window, n, worker, workers);
  auto keysOf = [&] { return kv + (static_cast<long long>(now.row) * 2 * kv_heads + now.head) * ring * D; };
  constexpr long long toValues = static_cast<long long>(kv_heads) * ring * D;
  auto fetch = [&] { tile.fetch(keysOf(), keysOf() + toValues, now.span, now.tile * tileSlots, full + warp); };
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
      WarpHead<D> angles;
      angles.load(a.table + static_cast<long long>(positions[now.t]) * D);
      const T *x = a.qkv + static_cast<long long>(now.t) * (heads + 2 * kv_heads) * D;
#pragma unroll 1
      for (int item = anew ? 0 : group; item < group + 2 * newest; ++item) {
        WarpHead<D> head;
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

    StepState<T, group, D> state(nullptr);
    const StepScale weigh(a.scale, mult, D);
#pragma unroll 1
    for (int last = now.lastTile, i = now.tile; i <= last; ++i, parity ^= 1) {
      await(full + warp, parity);
      tile.look(now.span, i * tileSlots);
      state.add(tile, query, weigh);
      __syncwarp(); // the tile has been read
      now.nextTile();
      if (now.left)
        fetch();
    }

    // From here on `now` is the next chunk.
    float *all = a.partials + static_cast<long long>(owner) * mostParts * group * record;
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
        ticket = takeTicket(a.counters + owner);
        if (static_cast<int>(ticket) == parts - 1)
          a.counters[owner] = 0;
      }
      last = __shfl_sync(0xffffffffu, static_cast<int>(ticket), 0) == parts - 1;
    }
    __syncwarp();
    if (last)
#pragma unroll 1
      for (int head = 0; head < group; ++head)
        mergeSpread<D>(all + head * record, group * record, parts,
                       y + (static_cast<long long>(owner) * group + head) * D);
    anew = owner != now.t * kv_heads + now.head;
  }
}
