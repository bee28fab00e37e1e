// How a token is sampled from a row of logits f32, of which the first V columns of Vp count.
//
// Temperature 0: the largest z. Otherwise the largest softcap(z) / temperature + Gumbel noise among all V or the top_k
// largest z; the noise is Philox's word id % 4 of counter (id / 4, row base + i, step, "nano"). Ties go to the lowest
// id, NaN counts as -inf. The deciding sums are in double, so that the CPU reference chooses the same id.
//
// The blocks of 256 threads share the rows evenly (sample_layout.h): each takes a slice of neighbouring columns and
// leaves its best (or, for a top_k up to 64, its top_k best) among the partials, and the last block of a row to arrive
// merges them; the row's counter is zero before and after. A larger top_k takes one block per row, which reads it
// several times, from L2. Memory: the logits once, in 16-byte loads. Reductions: maxima and ranks, so that neither
// their order nor the number of slices matters.
#pragma once

#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/order.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/sample/philox.h"
#include "kernels_templates/sample/top.cuh"
#include "kernels_templates/sample/words.h"

struct SampleChoice {
  double score;
  int id; // -1: none
};

__device__ inline SampleChoice sampleBetter(SampleChoice a, SampleChoice b) {
  if (b.id < 0 || (a.id >= 0 && (a.score > b.score || (a.score == b.score && a.id < b.id))))
    return a;
  return b;
}

// The best of the warp, and of the block.
__device__ inline SampleChoice sampleBestOfWarp(SampleChoice mine) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    mine = sampleBetter(
        mine, {__shfl_xor_sync(0xffffffffu, mine.score, offset), __shfl_xor_sync(0xffffffffu, mine.id, offset)});
  return mine;
}
__device__ inline SampleChoice sampleBest(SampleChoice mine, unsigned char *shared) {
  double *scores = reinterpret_cast<double *>(shared + SampleShared::scores);
  int *ids = reinterpret_cast<int *>(shared + SampleShared::ids);
  mine = sampleBestOfWarp(mine);
  __syncthreads(); // an earlier call's readers are done
  if (threadIdx.x % 32 == 0) {
    scores[threadIdx.x / 32] = mine.score;
    ids[threadIdx.x / 32] = mine.id;
  }
  __syncthreads();
  mine = {scores[0], ids[0]};
#pragma unroll
  for (int i = 1; i < sampleThreads / 32; ++i)
    mine = sampleBetter(mine, {scores[i], ids[i]});
  return mine;
}

// How one row's scores come about.
struct SampleDraw {
  float temperature, cap;
  unsigned seedLow, seedHigh, row, step;

  __device__ kernels::PhiloxBlock noise(int block) const {
    return kernels::philox({static_cast<unsigned>(block), row, step, kernels::samplingStream}, seedLow, seedHigh);
  }
  __device__ double exact(float z, int id) const {
    const double x = z, u = (noise(id / 4)[id % 4] + 0.5) * 0x1p-32;
    return (cap == 0 ? x : cap * tanh(x / cap)) / temperature - log(-log(u));
  }
  __device__ float fast(float x, unsigned word) const {
    // -log(u) for u = (word + 0.5) / 2^32: near u = 1 from 1 - u, which f32 holds to full precision.
    const float e = word >> 31 ? -log1pf(-(~word + 0.5f) * 0x1p-32f) : -logf((word + 0.5f) * 0x1p-32f);
    return (cap == 0 ? x : cap * tanhf(x / cap)) / temperature - logf(e);
  }
};

// What a fast score must reach if its exact one may be the largest. The fast one errs by some 2^-22 of its terms, which
// are noise below 32 and a scaled logit; here with a wide berth. NaN if infinities leave none.
__device__ inline float sampleContender(float most) { return most - (1e-4f + 1e-5f * fabsf(most)); }

// The choice among the k <= 64 orders of `top`, none of them 0: the first warp returns it. All threads of the block
// call.
__device__ inline int sampleDecide(const SampleOrder (&top)[sampleFew], int k, const SampleDraw &draw,
                                   unsigned char *shared) {
  float *scores = reinterpret_cast<float *>(shared + SampleShared::fastScores); // [few]
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < sampleFew) {
    const int id = sampleIdOf(top[thread]);
    scores[thread] = thread < k ? draw.fast(sampleValueOf(top[thread]), draw.noise(id / 4)[id % 4]) : -infinity();
  }
  __syncthreads();
  if (thread >= 32)
    return -1;
  float most = -infinity();
#pragma unroll
  for (int i = thread; i < sampleFew; i += 32)
    most = fmaxf(most, scores[i]);
  const float least = sampleContender(warpMax(most));
  unsigned contenders = 0; // bits of the lanes' own
#pragma unroll
  for (int i = 0; i < sampleFew / 32; ++i)
    contenders |= static_cast<unsigned>(thread + 32 * i < k && !(scores[thread + 32 * i] < least)) << i;
  const unsigned some = __ballot_sync(0xffffffffu, contenders != 0);
  const int first = __ffs(static_cast<int>(contenders)) - 1;
  if (__popc(some) == 1 && !__any_sync(0xffffffffu, (contenders & (contenders - 1)) != 0))
    return __shfl_sync(0xffffffffu, contenders != 0 ? sampleIdOf(top[thread + 32 * first]) : -1,
                       __ffs(static_cast<int>(some)) - 1);
  SampleChoice mine = {0, -1};
#pragma unroll 1
  for (; contenders != 0; contenders &= contenders - 1) {
    const SampleOrder order = top[thread + 32 * (__ffs(static_cast<int>(contenders)) - 1)];
    mine = sampleBetter(mine, {draw.exact(sampleValueOf(order), sampleIdOf(order)), sampleIdOf(order)});
  }
  return sampleBestOfWarp(mine).id;
}

// This thread's best of the columns [begin, end) whose order reaches `bound`, if it may be the block's best. `begin` is
// a multiple of 4.
template <int V, int Vp>
__device__ inline SampleChoice sampleScan(const float *z, int begin, int end, SampleOrder bound, const SampleDraw &draw,
                                          unsigned char *shared) {
  // First in f32, to find the few ids that may win; within the margin double decides.
  float best = -infinity(), second = -infinity(), bestZ = 0;
  int bestId = -1;
#pragma unroll 1
  for (int base = begin + static_cast<int>(threadIdx.x) * 4; base < end; base += sampleThreads * 4) {
    float x[4];
    sampleLoad<V, Vp>(z, base, x);
    const kernels::PhiloxBlock words = draw.noise(base / 4);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float clean = sampleClean(x[i]);
      if (base + i >= end || sampleOrder(clean, base + i) < bound)
        continue;
      const float score = draw.fast(clean, words[i]);
      if (score > best) {
        second = best;
        best = score;
        bestZ = clean;
        bestId = base + i;
      } else {
        second = fmaxf(second, score);
      }
    }
  }
  const float least =
      sampleContender(blockMax<sampleThreads>(best, reinterpret_cast<float *>(shared + SampleShared::maxima)));
  SampleChoice mine = {0, -1};
  if (best < least) // false as well if infinities left a NaN
    return mine;
  if (second < least)
    return {draw.exact(bestZ, bestId), bestId};
#pragma unroll 1
  for (int base = begin + static_cast<int>(threadIdx.x) * 4; base < end; base += sampleThreads * 4)
#pragma unroll 1
    for (int id = base; id < end && id < base + 4; ++id) {
      const float x = sampleClean(z[id]);
      if (sampleOrder(x, id) >= bound)
        mine = sampleBetter(mine, {draw.exact(x, id), id});
    }
  return mine;
}

// Whether this warp is the last of `blocks` to have come, one of each block; the counter is zero again then. What the
// warp has stored before is visible to the last one.
__device__ inline bool isLastArrival(unsigned *counter, unsigned blocks) {
  unsigned before = 0;
  __syncwarp();
  if (threadIdx.x % 32 == 0) {
    before = takeTicket(counter);
    if (before + 1 == blocks)
      *counter = 0;
  }
  before = __shfl_sync(0xffffffffu, before, 0);
  __syncwarp(); // what the first lane has come to see, the others see
  return before + 1 == blocks;
}

// As isLastArrival(), of a whole block.
__device__ inline bool sampleIsLast(unsigned *counter, unsigned blocks, unsigned char *shared) {
  bool &last = *reinterpret_cast<bool *>(shared + SampleShared::last);
  __syncthreads();
  if (threadIdx.x < 32) {
    const bool mine = isLastArrival(counter, blocks);
    if (threadIdx.x == 0)
      last = mine;
  }
  __syncthreads();
  return last;
}

// This thread's largest order of the slice [begin, end); 0 if it has no column.
template <int V, int Vp> __device__ inline SampleOrder sampleMost(const float *z, int begin, int end) {
  float best = -infinity();
  int id = begin + static_cast<int>(threadIdx.x) * 4;
  const bool some = id < V;
  sampleVisit<V, Vp>(z, begin, end, [&](const float(&x)[samplePerThread], int tile) {
#pragma unroll
    for (int i = 0; i < samplePerThread; ++i)
      if (x[i] > best) { // never true of NaN, nor of an equal one further right
        best = x[i];
        id = sampleColumnOf(tile, i);
      }
  });
  return some ? sampleOrder(best + 0.0f, id) : 0;
}

// The largest z of the slice [begin, end): the first warp of a row's last block returns the row's id, the others -1.
template <int V, int Vp>
__device__ inline int sampleGreedy(const float *z, int begin, int end, int slice, int slices, SampleOrder *found,
                                   unsigned *counter, unsigned char *shared) {
  SampleOrder *largest = reinterpret_cast<SampleOrder *>(shared + SampleShared::largest);
  SampleOrder most = sampleLargest(sampleMost<V, Vp>(z, begin, end));
  if (threadIdx.x % 32 == 0)
    largest[threadIdx.x / 32] = most;
  __syncthreads();
  if (threadIdx.x >= 32)
    return -1;
  most = sampleLargest(threadIdx.x < sampleThreads / 32 ? largest[threadIdx.x] : 0);
  if (threadIdx.x == 0)
    found[slice] = most;
  if (!isLastArrival(counter, slices))
    return -1;
  most = 0;
#pragma unroll 1
  for (int i = threadIdx.x; i < slices; i += 32)
    most = found[i] > most ? found[i] : most;
  return sampleIdOf(sampleLargest(most));
}

// The sampling of a row by the blocks that share it. A row whose index is negative gets -1.
template <typename P, typename Args>
__device__ inline void sampleRows(const Grid &grid, unsigned char *shared, const Args &a) {
  constexpr int V = P::V, Vp = P::Vp;
  constexpr kernels::SampleLayout layout(V);
  constexpr int tiles = layout.tiles, items = layout.items;
  constexpr bool merges = layout.merges;
  const int slices = static_cast<int>(grid.blocks) / a.r;
  const int row = static_cast<int>(grid.block) / slices, slice = static_cast<int>(grid.block) - row * slices;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const bool wanted = a.index[row] >= 0;
  const SampleDraw draw = {__uint_as_float(a.sampling[kernels::samplingTemperature]),
                           a.cap,
                           a.sampling[kernels::samplingSeedLow],
                           a.sampling[kernels::samplingSeedHigh],
                           a.sampling[kernels::samplingRowBase] + row,
                           wanted ? static_cast<unsigned>(a.steps[row]) : 0u};
  const int k = static_cast<int>(a.sampling[kernels::samplingTopK]);
  const int width = (tiles + slices - 1) / slices * sampleColumns, begin = slice * width, end = least(begin + width, V);
  const int words = slices * static_cast<int>(layout.sliceWords); // of a row's partials
  waitForProducers();
  if (!wanted) {
    if (slice == 0 && threadIdx.x == 0)
      a.next[row] = -1;
    return;
  }
  const float *z = a.z + static_cast<long long>(row) * Vp;
  unsigned *counter = a.counters + row;
  // Scratch is f32 by type; here it holds orders, or doubles and ids.
  SampleOrder *found = reinterpret_cast<SampleOrder *>(a.partials + static_cast<long long>(row) * words);

  if (!(draw.temperature > 0)) {
    const int id = sampleGreedy<V, Vp>(z, begin, end, slice, slices, found, counter, shared);
    if (id >= 0 && threadIdx.x == 0)
      a.next[row] = id;
    return;
  }

  const bool among = k > 0 && k < V, fewer = merges && among && k <= sampleFew;
  SampleOrder bound = 0;
  if (among) {
    if (!fewer && slice > 0)
      return;
    const int first = fewer ? begin : 0, last = fewer ? end : V;
    auto &top = *reinterpret_cast<SampleOrder(*)[sampleFew]>(shared + SampleShared::top);
    SampleOrder mine = 0;
    if (fewer) {
      mine = sampleMost<V, Vp>(z, begin, end);
      bound = sampleBound(mine, k, shared);
    }
    // What reaches the bound is little more than k, unless many are equal or large ones close together.
    for (bool exact = !fewer;; exact = true) {
      if (exact)
        bound = sampleThreshold(z, first, last, k, shared);
      if (!fewer ||
          sampleTop<SampleShared::sliceCapacity>(
              k, top, [&](const SampleList &list) { sampleGather<V, Vp>(list, z, begin, end, mine, bound, shared); },
              shared))
        break;
    }
    if constexpr (merges) {
      if (fewer) {
        // The first of all slices, then the second of all: so threads have about one of the row's largest each.
        if (static_cast<int>(threadIdx.x) < k)
          found[static_cast<int>(threadIdx.x) * slices + slice] = top[threadIdx.x];
        if (!sampleIsLast(counter, slices, shared))
          return;
        SampleOrder candidates[items];
        mine = 0;
#pragma unroll
        for (int i = 0; i < items; ++i) {
          const int at = static_cast<int>(threadIdx.x) + i * sampleThreads;
          candidates[i] = at < slices * k ? found[at] : 0;
          mine = candidates[i] > mine ? candidates[i] : mine;
        }
        bound = sampleBound(mine, k, shared);
        sampleTop<layout.mergeCapacity>(
            k, top,
            [&](const SampleList &list) {
              if (mine >= bound)
                list.add(mine);
              unsigned more = 0;
#pragma unroll
              for (int i = 0; i < items; ++i)
                more |= static_cast<unsigned>(candidates[i] >= bound && candidates[i] != mine) << i;
              for (; more != 0; more &= more - 1) // few: rather read again than in as many copies of this code
                list.add(found[static_cast<int>(threadIdx.x) + (__ffs(static_cast<int>(more)) - 1) * sampleThreads]);
            },
            shared);
        const int id = sampleDecide(top, k, draw, shared);
        if (threadIdx.x == 0)
          a.next[row] = id;
        return;
      }
    }
  }
  SampleChoice choice =
      sampleBest(sampleScan<V, Vp>(z, among ? 0 : begin, among ? V : end, bound, draw, shared), shared);
  if (!among && slices > 1) {
    double *scores = reinterpret_cast<double *>(found); // and then ids
    int *ids = reinterpret_cast<int *>(scores + slices);
    if (threadIdx.x == 0) {
      scores[slice] = choice.score;
      ids[slice] = choice.id;
    }
    if (!sampleIsLast(counter, slices, shared))
      return;
    choice = {0, -1};
#pragma unroll 1
    for (int i = threadIdx.x; i < slices; i += sampleThreads)
      choice = sampleBetter(choice, {scores[i], ids[i]});
    choice = sampleBest(choice, shared);
  }
  if (threadIdx.x == 0)
    a.next[row] = choice.id;
}
