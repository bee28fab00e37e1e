// The largest of a row of logits, or of a slice of it: how they compare, how a block of 256 threads reads them, and
// which k come first. NaN counts as -inf, and among equal ones the lowest id comes first.
#pragma once

#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/sample/sample_layout.h"

using SampleShared = kernels::SampleLayout; // offsets of what a block shares
constexpr int sampleThreads = SampleShared::threads, samplePerThread = SampleShared::perThread;
constexpr int sampleColumns = SampleShared::columns; // of which a slice is a multiple
constexpr int sampleFew = SampleShared::few;         // candidates of a block for a small top_k

using SampleOrder = unsigned long long;

// z as it is compared: -inf for NaN, 0 for -0.
__device__ inline float sampleClean(float x) { return x == x ? x + 0.0f : -infinity(); }

// Larger for a larger z, and never 0.
__device__ inline unsigned sampleKey(float z) {
  const unsigned bits = __float_as_uint(z);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Larger for a larger z, and among equal ones for a lower id; all different, none 0.
__device__ inline SampleOrder sampleOrder(float z, int id) {
  return static_cast<SampleOrder>(sampleKey(z)) << 32 | ~static_cast<unsigned>(id);
}
__device__ inline int sampleIdOf(SampleOrder order) { return static_cast<int>(~static_cast<unsigned>(order)); }
__device__ inline float sampleValueOf(SampleOrder order) {
  const unsigned key = static_cast<unsigned>(order >> 32);
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// x[i] = z[column + i] for i < 4, NaN from V on. Columns are multiples of 4.
template <int V, int Vp> __device__ inline void sampleLoad(const float *z, int column, float *x) {
  constexpr int lanes = vectorOf<float>(Vp);
#pragma unroll
  for (int i = 0; i < 4; i += lanes) {
    float piece[lanes];
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      piece[l] = __uint_as_float(0x7fffffffu);
    if (column + i < V) // V <= Vp, which `lanes` divides
      load(z + column + i, piece);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      x[i + l] = V % lanes == 0 || column + i + l < V ? piece[l] : __uint_as_float(0x7fffffffu);
  }
}

// Of a tile of sampleColumns, a thread has two fours, as neighbouring threads have neighbouring ones.
__device__ inline int sampleColumnOf(int tile, int i) { return tile + i / 4 * sampleThreads * 4 + i % 4; }

// visit(x, tile) for this thread's part of each tile of the slice [begin, end), from left to right: x[i] is of column
// sampleColumnOf(tile, i). `begin` is a multiple of sampleColumns, `end` too or V.
template <int V, int Vp, typename Visit>
__device__ inline void sampleVisit(const float *z, int begin, int end, Visit visit) {
#pragma unroll 2
  for (int tile = begin + static_cast<int>(threadIdx.x) * 4; tile < end; tile += sampleColumns) {
    float x[samplePerThread];
#pragma unroll
    for (int i = 0; i < samplePerThread; i += 4)
      sampleLoad<V, Vp>(z, sampleColumnOf(tile, i), x + i);
    visit(x, tile);
  }
}

// The largest order of the warp.
__device__ inline SampleOrder sampleLargest(SampleOrder mine) {
  const unsigned key = __reduce_max_sync(0xffffffffu, static_cast<unsigned>(mine >> 32));
  const unsigned low =
      __reduce_max_sync(0xffffffffu, key == static_cast<unsigned>(mine >> 32) ? static_cast<unsigned>(mine) : 0u);
  return static_cast<SampleOrder>(key) << 32 | low;
}

// Of pairs of neighbouring threads, the k-th largest of the pairs' largest orders, or 1 if it is none: k orders reach
// it, and little more than k do where the large ones are spread over the pairs. All pairs' orders differ, or are 0; k
// is below their number.
__device__ inline SampleOrder sampleBound(SampleOrder mine, int k, unsigned char *shared) {
  constexpr int half = SampleShared::half, pitch = SampleShared::pitch;
  SampleOrder *orders = reinterpret_cast<SampleOrder *>(shared + SampleShared::orders); // [2][pitch]
  SampleOrder &bound = *reinterpret_cast<SampleOrder *>(shared + SampleShared::bound);
  const int thread = threadIdx.x, pair = thread / 2;
  const SampleOrder other = __shfl_xor_sync(0xffffffffu, mine, 1);
  mine = other > mine ? other : mine;
  __syncthreads(); // an earlier call's readers are done
  if (thread % 2 == 0)
    orders[pair / half * pitch + pair % half] = mine;
  if (thread == 0)
    bound = 1;
  __syncthreads();
  int rank = 0; // each thread of a pair compares with a half
#pragma unroll 8
  for (int i = 0; i < half; ++i)
    rank += orders[thread % 2 * pitch + i] > mine;
  rank += __shfl_xor_sync(0xffffffffu, rank, 1);
  if (rank == k - 1 && mine > 0)
    bound = mine;
  __syncthreads();
  return bound;
}

// Takes the orders that may be among the largest, as far as there is room.
struct SampleList {
  SampleOrder *orders;
  int *count;
  int capacity;

  __device__ void add(SampleOrder order) const {
    const int place = atomicAdd(count, 1);
    if (place < capacity)
      orders[place] = order;
  }
};

// top[0 ... k): the k largest of the orders that visit(list) adds, the largest first, 0 where there are fewer (0 is
// none). False if they are more than `capacity`.
template <int capacity, typename Visit>
__device__ inline bool sampleTop(int k, SampleOrder (&top)[sampleFew], Visit visit, unsigned char *shared) {
  SampleOrder *passed = reinterpret_cast<SampleOrder *>(shared + SampleShared::passed); // [capacity]
  int &count = *reinterpret_cast<int *>(shared + SampleShared::passedCount);
  __syncthreads(); // an earlier call's readers are done
  if (threadIdx.x < sampleFew)
    top[threadIdx.x] = 0;
  if (threadIdx.x == 0)
    count = 0;
  __syncthreads();
  visit(SampleList{passed, &count, capacity});
  __syncthreads();
  if (count > capacity)
    return false;
  for (int base = 0; base < count; base += sampleThreads / 4) { // four threads an order; the same trip count for all
    const int i = base + static_cast<int>(threadIdx.x) / 4;
    const SampleOrder mine = i < count ? passed[i] : 0;
    int before = 0;
#pragma unroll 8
    for (int j = static_cast<int>(threadIdx.x) % 4; j < count; j += 4)
      before += passed[j] > mine;
    before += __shfl_xor_sync(0xffffffffu, before, 1);
    before += __shfl_xor_sync(0xffffffffu, before, 2);
    if (i < count && before < k)
      top[before] = mine;
  }
  __syncthreads();
  return true;
}

// Adds what reaches `bound` of the slice [begin, end) to the list; `mine` is this thread's largest order of its columns
// there. Only threads whose own reaches it hold such columns: their warps share in reading those.
template <int V, int Vp>
__device__ inline void sampleGather(const SampleList &list, const float *z, int begin, int end, SampleOrder mine,
                                    SampleOrder bound, unsigned char *shared) {
  constexpr int together = 2;                                             // fours of a lane under way
  int *holders = reinterpret_cast<int *>(shared + SampleShared::holders); // [threads]
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x) - lane;
  const unsigned holding = __ballot_sync(0xffffffffu, mine >= bound);
  if (mine >= bound)
    holders[warp + __popc(holding & ((1u << lane) - 1))] = static_cast<int>(threadIdx.x);
  __syncwarp();
  const float floor = sampleValueOf(bound);
  const int fours = (end - begin + sampleColumns - 1) / sampleColumns * 2;
  const int shift = fours <= 2 ? 1 : fours <= 8 ? 3 : 5; // lanes of a holder: 2^shift
#pragma unroll 1
  for (int four = lane & ((1 << shift) - 1); four < fours; four += 1 << shift)
#pragma unroll 1
    for (int holder = lane >> shift; holder < __popc(holding); holder += together * (32 >> shift)) {
      int columns[together];
      float x[4 * together];
      unsigned may = 0;
#pragma unroll
      for (int i = 0; i < together; ++i) {
        const int at = holder + i * (32 >> shift);
        columns[i] = at < __popc(holding) ? begin + (four * sampleThreads + holders[warp + at]) * 4 : V;
        sampleLoad<V, Vp>(z, columns[i], x + 4 * i);
      }
#pragma unroll
      for (int i = 0; i < 4 * together; ++i)
        may |= static_cast<unsigned>(!(x[i] < floor)) << i;
#pragma unroll 1
      for (; may != 0; may &= may - 1) { // few: rather read again than in as many copies of this code
        const int i = __ffs(static_cast<int>(may)) - 1;
        const int id = (i < 4 ? columns[0] : columns[1]) + i % 4;
        const SampleOrder order = id < V ? sampleOrder(sampleClean(z[id]), id) : 0;
        if (order >= bound)
          list.add(order);
      }
    }
}

// A bound that exactly the k first ids of [begin, end) in order reach (0 < k < end - begin): a radix search from the
// top digit, which stops as soon as a whole bucket is taken. At most eight rounds.
__device__ inline SampleOrder sampleThreshold(const float *z, int begin, int end, int k, unsigned char *shared) {
  int *counts = reinterpret_cast<int *>(shared + SampleShared::counts); // [256]
  int &digit = *reinterpret_cast<int *>(shared + SampleShared::digit);
  int &above = *reinterpret_cast<int *>(shared + SampleShared::above);
  SampleOrder prefix = 0, mask = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    counts[threadIdx.x] = 0;
    __syncthreads();
#pragma unroll 4
    for (int base = begin; base < end; base += sampleThreads) { // the same trip count for all lanes
      const int id = base + static_cast<int>(threadIdx.x);
      const SampleOrder order = id < end ? sampleOrder(sampleClean(z[id]), id) : 0;
      const bool counted = id < end && (order & mask) == prefix;
      const unsigned bucket = counted ? static_cast<unsigned>(order >> shift) & 255 : 256;
      // Logits share few leading digits: one addition per warp and digit.
      const unsigned peers = __match_any_sync(0xffffffffu, bucket);
      if (counted && static_cast<int>(threadIdx.x % 32) == __ffs(peers) - 1)
        atomicAdd(&counts[bucket], __popc(peers));
    }
    __syncthreads();
    int larger = 0;
    for (int i = static_cast<int>(threadIdx.x) + 1; i < 256; ++i)
      larger += counts[i];
    if (larger < k && larger + counts[threadIdx.x] >= k) { // true of one bucket
      digit = static_cast<int>(threadIdx.x);
      above = larger;
    }
    __syncthreads();
    prefix |= static_cast<SampleOrder>(digit) << shift;
    mask |= 255ull << shift;
    k -= above;
    const bool whole = counts[digit] == k;
    __syncthreads(); // before the next round writes
    if (whole)
      break;
  }
  return prefix;
}
