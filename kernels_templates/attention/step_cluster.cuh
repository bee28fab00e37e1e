// Attention of a step, one token per row and slot. From qkv [n, heads + 2 kv_heads, D]: q and k rotated by table
// [positions, D], RMS-normed per head and multiplied by mult; k and v, to which the gate adds (value_gate.cuh), put
// into ring slot position % ring of kv [rows, 2, kv_heads, ring, D]; then y[t, h, :] = softmax over j of scale * q .
// k[j], times v[j], for max(0, p - window) <= j <= p. Row -1 (padding) gives zeros and writes nothing. Memory: a
// cluster of blocks per token and kv head, whose warps take tiles of 32 slots of the ring in turn, for all query heads
// of the group; old keys and values go to shared memory by bulk copies that start before the wait. Reductions: a warp
// keeps (sum of weights, out) of its tiles in f32; the warps of a cluster merge through its shared memory. Which warp
// has which tile, and all order, follow from the position and the parameters alone: a row's result does not depend on
// the batch. How a warp does its part: step_tile.cuh.

#pragma once

#include "kernels_templates/attention/step_cluster_layout.h"
#include "kernels_templates/attention/step_tile.cuh"
#include "kernels_templates/attention/value_gate.cuh"
#include "kernels_templates/attention/warp_head.cuh"
#include "kernels_templates/device/cluster.cuh"
#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/format.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/vector.cuh"

// The shared memory of a block. Each warp of a cluster gives one partial result.
template <typename T, int group, int D, int ring, int cluster> struct StepClusterShared {
  using Layout = kernels::StepClusterLayout;
  using Tile = StepTile<T, D>;
  using Query = StepQuery<T, group, D>;
  static constexpr Layout layout = Layout(sizeof(T), Format<T>::tensorCores, group, D, ring, cluster);
  static constexpr int tiles = layout.tiles, warps = layout.warps, slots = layout.slots, threads = Layout::threads;
  // Without clusters the first block of each does it all.
#if __CUDA_ARCH__ >= 900
  static constexpr int blocks = cluster;
#else
  static constexpr int blocks = 1;
#endif
  static constexpr int share = group * D / blocks; // outputs that a block merges
  static constexpr int partials = warps * blocks;
  static constexpr int slices = // threads that merge an output
      share > threads ? 1 : least(threads / powerOfTwo(share), powerOfTwo(partials));

  T *ringTiles;             // [warps][slots]
  T *freshKey, *freshValue; // [D]: the new position
  Query query;
  float *totals;          // [partials][group]: sums of weights
  float *sums;            // [partials][share]
  float *states;          // [warps][layout.stateFloats]
  Barrier *full, *merged; // of tiles, [warps][slots]; counts the partial results' bytes

  __device__ explicit StepClusterShared(unsigned char *shared)
      : ringTiles(reinterpret_cast<T *>(shared)), freshKey(reinterpret_cast<T *>(shared + layout.fresh)),
        freshValue(freshKey + D), query{reinterpret_cast<float *>(shared + layout.queries)},
        totals(reinterpret_cast<float *>(shared + layout.totals)),
        sums(reinterpret_cast<float *>(shared + layout.sums)),
        states(reinterpret_cast<float *>(shared + layout.states)),
        full(reinterpret_cast<Barrier *>(shared + layout.barriers)), merged(full + warps * slots) {}

  __device__ Tile tile(int warp, int slot) const {
    return {ringTiles + (warp * slots + slot) * layout.tileElements, freshKey, freshValue};
  }
  // Partial results go to the blocks that merge them.
  __device__ void putTotal(int partial, int head, int rank, float total) const {
    clusterStore<blocks>(totals + partial * group + head, rank, total, merged);
  }
  __device__ void putSum(int partial, unsigned output, float sum) const {
    clusterStore<blocks>(sums + partial * share + output % share, output / share, sum, merged);
  }
};

// Engine `cluster`: P has T, P (the table's type), heads, kv_heads, D, ring, cluster, and what the gate needs.
template <typename P, template <typename> class Gate, typename Args>
__device__ inline void stepCluster(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int heads = P::heads, kv_heads = P::kv_heads, D = P::D, ring = P::ring, cluster = P::cluster;
  constexpr int group = heads / kv_heads;
  using Shared = StepClusterShared<T, group, D, ring, cluster>;
  constexpr int blocks = Shared::blocks, slots = Shared::slots, share = Shared::share, warps = Shared::warps;
  constexpr int threads = Shared::threads, stepWarps = Shared::Layout::mostWarps;
  const Shared at(shared);
  Gate<P> gate(a);
  const float mult = a.mult;

  startConsumers();
  const int rank = static_cast<int>(grid.block) % cluster, owner = static_cast<int>(grid.block) / cluster;
  const int kvHead = owner % kv_heads, t = owner / kv_heads, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const int row = a.rows[t], position = a.positions[t];
  const StepSpan<ring> span(position, a.window);
  const int firstTile = span.firstTile(), active = span.lastTile() - firstTile + 1;
  T *result = a.y + (static_cast<long long>(t) * heads + kvHead * group) * D;
  if (row < 0) { // all blocks of the cluster
    awaitProducers();
    if (rank == 0)
#pragma unroll 1
      for (int i = threadIdx.x; i < group * D; i += threads)
        result[i] = fromFloat<T>(0);
    return;
  }
  if (rank >= blocks) {
    awaitProducers();
    return;
  }

  T *ringKeys = a.kv + (static_cast<long long>(row) * 2 * kv_heads + kvHead) * ring * D;
  T *ringValues = ringKeys + static_cast<long long>(kv_heads) * ring * D;
  // This block's tiles are rank, rank + cluster, ... of the active ones; a warp has every fourth of them to itself.
  // Positions before this one were written in earlier steps, and none of them lies in the slot written now: they are
  // under way before the producers are done.
  auto fetch = [&](int j, int slot) {
    at.tile(warp, slot)
        .fetch(ringKeys, ringValues, span, (firstTile + rank + j * blocks) * tileSlots,
               at.full + (warp * slots + slot));
  };
  if (warp < warps && lane < slots)
    initBarrier(at.full + (warp * slots + lane), copyArrivals);
  if (threadIdx.x == 0)
    initBarrier(at.merged, 1);
  publishBarriers();
  if (threadIdx.x == 0)
    expectStores<blocks>(at.merged,
                         least(active, Shared::partials) * (share + group) * static_cast<int>(sizeof(float)));
  clusterArrive<blocks>(); // that the others are there is known before their shared memory is written
  __syncwarp();
#pragma unroll 1
  for (int slot = 0; slot < slots; ++slot)
    if (warp < warps && rank + (warp + slot * warps) * blocks < active)
      fetch(warp + slot * warps, slot);
  WarpHead<D> angles;
  angles.load(a.table + static_cast<long long>(position) * D);
  const bool newest = (span.slot / tileSlots - firstTile) % blocks == rank;
  if (newest && warp == (group + 1) % stepWarps)
    gate.prefetch(t, kvHead);
  clusterWait<blocks>();
  awaitProducers();

  // The queries, and the new key and value where this block has the new position: a warp per head.
  const T *x = a.qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
#pragma unroll 1
  for (int item = warp; item < group + 2 * newest; item += stepWarps) {
    WarpHead<D> head;
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
    StepState<T, group, D> state(at.states + warp * Shared::layout.stateFloats);
    const StepScale weigh(a.scale, mult, D);
#pragma unroll 1
    for (int j = warp, slot = 0, parity = 0; rank + j * blocks < active; j += warps) {
      typename Shared::Tile tile = at.tile(warp, slot);
      await(at.full + (warp * slots + slot), parity);
      tile.look(span, (firstTile + rank + j * blocks) * tileSlots);
      state.add(tile, at.query, weigh);
      const int next = j + slots * warps;
      if (slots * warps * blocks < Shared::tiles && rank + next * blocks < active) {
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
  awaitStores<blocks>(at.merged);

  // Partial results add up in an order that plan and position alone decide: neighbouring lanes take every so many of
  // them for the same output.
  constexpr int slices = Shared::slices;
  const int partials = least(active, Shared::partials), slice = threadIdx.x % slices;
#pragma unroll 1
  for (int base = 0; base < share; base += threads / slices) {
    const int i = base + static_cast<int>(threadIdx.x) / slices, output = rank * share + i;
    float sum = 0, total = 0;
#pragma unroll
    for (int p = slice; p < Shared::partials; p += slices)
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
