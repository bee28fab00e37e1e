// sample<V, Vp>: one token for each row of z f32 [r, Vp], from the first V columns; index -1 gives -1.
// Temperature 0: the largest z. Otherwise the largest softcap(z) / temperature + Gumbel noise among all V or the top_k
// largest z; the noise is Philox's word id % 4 of counter (id / 4, row base + i, step, "nano"). Ties go to the lowest
// id, NaN counts as -inf. The deciding sums are in double, so that the CPU reference chooses the same id. Counters [r]
// are zero before and after. Memory: a block of 256 threads per row and slice of 2,048 columns, eight neighbouring ones
// a thread in 16-byte loads; each block leaves its best (or, for top_k up to 64, its top_k best) among the partials and
// the last block of the row to arrive merges them. A larger top_k takes one block per row, which reads it several
// times, from L2. Reductions: maxima and ranks, whose order does not matter.

constexpr int sampleThreads = 256, samplePerThread = 8;
constexpr int sampleColumns = sampleThreads * samplePerThread;
constexpr int sampleFew = 64;         // candidates of a block for a small top_k
constexpr int sampleMostSlices = 128; // whose candidates one block can merge

using SampleOrder = unsigned long long;

// z as it is compared: -inf for NaN, 0 for -0.
__device__ inline float sampleClean(float x) { return x == x ? x + 0.0f : -infinity(); }

// Larger for a larger z, and among equal ones for a lower id; all different, none 0.
__device__ inline SampleOrder sampleOrder(float z, int id) {
  const unsigned bits = __float_as_uint(z);
  const unsigned key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<SampleOrder>(key) << 32 | ~static_cast<unsigned>(id);
}
__device__ inline int sampleIdOf(SampleOrder order) { return static_cast<int>(~static_cast<unsigned>(order)); }
__device__ inline float sampleValueOf(SampleOrder order) {
  const unsigned key = static_cast<unsigned>(order >> 32);
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// z[column + i] for i < count, -inf past V. Columns are multiples of 4.
template <int V, int Vp, int count> __device__ inline void sampleLoad(const float *z, int column, float (&x)[count]) {
  constexpr int lanes = vectorOf<float>(Vp);
#pragma unroll
  for (int i = 0; i < count; i += lanes) {
    float piece[lanes] = {};
    if (column + i < V) // V <= Vp, which `lanes` divides
      load(z + column + i, piece);
#pragma unroll
    for (int l = 0; l < lanes; ++l)
      x[i + l] = column + i + l < V ? sampleClean(piece[l]) : -infinity();
  }
}

struct SampleChoice {
  double score;
  int id; // -1: none
};

__device__ inline SampleChoice sampleBetter(SampleChoice a, SampleChoice b) {
  if (b.id < 0 || (a.id >= 0 && (a.score > b.score || (a.score == b.score && a.id < b.id))))
    return a;
  return b;
}

// The best of the block.
__device__ inline SampleChoice sampleBest(SampleChoice mine) {
  __shared__ double scores[sampleThreads / 32];
  __shared__ int ids[sampleThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    mine = sampleBetter(
        mine, {__shfl_xor_sync(0xffffffffu, mine.score, offset), __shfl_xor_sync(0xffffffffu, mine.id, offset)});
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

// The largest order of the block.
__device__ inline SampleOrder sampleLargest(SampleOrder mine) {
  __shared__ SampleOrder largest[sampleThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    const SampleOrder other = __shfl_xor_sync(0xffffffffu, mine, offset);
    mine = other > mine ? other : mine;
  }
  __syncthreads(); // an earlier call's readers are done
  if (threadIdx.x % 32 == 0)
    largest[threadIdx.x / 32] = mine;
  __syncthreads();
  mine = largest[0];
#pragma unroll
  for (int i = 1; i < sampleThreads / 32; ++i)
    mine = largest[i] > mine ? largest[i] : mine;
  return mine;
}

// top[0 ... k): the k largest of the block's orders, the largest first, 0 where there are fewer (0 is none). Among
// equal keys (upper halves), a lower thread must hold the larger orders. The k-th largest of the threads' own maxima
// bounds the result from below and lets at most items * k pass, of which each counts those before it.
template <int items>
__device__ inline void sampleTop(const SampleOrder (&orders)[items], int k, SampleOrder (&top)[sampleFew]) {
  __shared__ __align__(16) unsigned keys[sampleThreads];
  __shared__ SampleOrder passed[items * sampleFew], bound;
  __shared__ int count;
  const int thread = threadIdx.x, lane = thread % 32;
  SampleOrder most = orders[0];
#pragma unroll
  for (int i = 1; i < items; ++i)
    most = orders[i] > most ? orders[i] : most;
  const unsigned key = static_cast<unsigned>(most >> 32); // at most +inf's, so that key + 1 does not wrap
  keys[thread] = key;
  if (thread < sampleFew)
    top[thread] = 0;
  if (thread == 0)
    count = 0;
  __syncthreads();
  int rank = __popc(__match_any_sync(0xffffffffu, key) & ((1u << lane) - 1));
  for (int other = 0; other < sampleThreads; other += 32) {
    const unsigned least = key + (other + 31 >= thread); // equal keys of earlier warps come first
#pragma unroll
    for (int i = 0; i < 32; i += 4) {
      const uint4 four = *reinterpret_cast<const uint4 *>(keys + other + i);
      rank += (four.x >= least) + (four.y >= least) + (four.z >= least) + (four.w >= least);
    }
  }
  if (rank == k - 1)
    bound = most;
  __syncthreads();
  const SampleOrder least = bound > 0 ? bound : 1;
  if (most >= least)
#pragma unroll
    for (int i = 0; i < items; ++i)
      if (orders[i] >= least)
        passed[atomicAdd(&count, 1)] = orders[i];
  __syncthreads();
  for (int i = thread; i < count; i += sampleThreads) {
    int before = 0;
    for (int j = 0; j < count; ++j)
      before += passed[j] > passed[i];
    if (before < k)
      top[before] = passed[i];
  }
  __syncthreads();
}

// A bound that exactly the `k` first ids in order reach (0 < k < V): a radix search from the top digit, which stops as
// soon as a whole bucket is taken. At most eight rounds.
template <int V> __device__ inline SampleOrder sampleThreshold(const float *z, int k) {
  __shared__ int counts[256], digit, above;
  SampleOrder prefix = 0, mask = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    counts[threadIdx.x] = 0;
    __syncthreads();
#pragma unroll 4
    for (int base = 0; base < V; base += sampleThreads) { // the same trip count for all lanes
      const int id = base + static_cast<int>(threadIdx.x);
      const SampleOrder order = id < V ? sampleOrder(sampleClean(z[id]), id) : 0;
      const bool counted = id < V && (order & mask) == prefix;
      const unsigned lanes = __ballot_sync(0xffffffffu, counted);
      if (counted) { // logits share few leading digits: one addition per warp and digit
        const unsigned bucket = static_cast<unsigned>(order >> shift) & 255;
        const unsigned peers = __match_any_sync(lanes, bucket);
        if (static_cast<int>(threadIdx.x % 32) == __ffs(peers) - 1)
          atomicAdd(&counts[bucket], __popc(peers));
      }
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

__device__ inline unsigned sampleWord(uint4 words, int i) {
  return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
}

// How one row's scores come about.
struct SampleDraw {
  float temperature, cap;
  unsigned seedLow, seedHigh, row, step;

  __device__ uint4 noise(int block) const {
    return philox({static_cast<unsigned>(block), row, step, 0x6e616e6fu}, seedLow, seedHigh);
  }
  __device__ double exact(float z, int id) const {
    const double x = z, u = (sampleWord(noise(id / 4), id % 4) + 0.5) * 0x1p-32;
    return (cap == 0 ? x : cap * tanh(x / cap)) / temperature - log(-log(u));
  }
  __device__ float fast(float x, unsigned word) const {
    // -log(u) for u = (word + 0.5) / 2^32: near u = 1 from 1 - u, which f32 holds to full precision.
    const float e = word >> 31 ? -log1pf(-(~word + 0.5f) * 0x1p-32f) : -logf((word + 0.5f) * 0x1p-32f);
    return (cap == 0 ? x : cap * tanhf(x / cap)) / temperature - logf(e);
  }
};

// This thread's best of the columns [begin, end) whose order reaches `bound`, if it may be the block's best. `begin` is
// a multiple of 4.
template <int V, int Vp>
__device__ inline SampleChoice sampleScan(const float *z, int begin, int end, SampleOrder bound,
                                          const SampleDraw &draw) {
  // First in f32, to find the few ids that may win; within the margin double decides.
  float best = -infinity(), second = -infinity(), bestZ = 0;
  int bestId = -1;
  for (int base = begin + static_cast<int>(threadIdx.x) * 4; base < end; base += sampleThreads * 4) {
    float x[4];
    sampleLoad<V, Vp>(z, base, x);
    const uint4 words = draw.noise(base / 4);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (base + i >= end || sampleOrder(x[i], base + i) < bound)
        continue;
      const float score = draw.fast(x[i], sampleWord(words, i));
      if (score > best) {
        second = best;
        best = score;
        bestZ = x[i];
        bestId = base + i;
      } else {
        second = fmaxf(second, score);
      }
    }
  }
  // The f32 score errs by some 2^-22 of its terms: of noise below 32 and of a scaled logit, here with a wide berth.
  const float top = blockMax<sampleThreads>(best);
  const float least = top - (1e-4f + 1e-5f * fabsf(top));
  SampleChoice mine = {0, -1};
  if (best < least) // false as well if infinities left a NaN
    return mine;
  if (second < least)
    return {draw.exact(bestZ, bestId), bestId};
  for (int base = begin + static_cast<int>(threadIdx.x) * 4; base < end; base += sampleThreads * 4)
    for (int id = base; id < end && id < base + 4; ++id) {
      const float x = sampleClean(z[id]);
      if (sampleOrder(x, id) >= bound)
        mine = sampleBetter(mine, {draw.exact(x, id), id});
    }
  return mine;
}

// Whether this block is the last of `blocks` to have written its partial results, which then are visible to all of it.
__device__ inline bool sampleIsLast(unsigned *counter, unsigned blocks) {
  __shared__ unsigned ticket;
  __syncthreads();
  if (threadIdx.x == 0) {
    ticket = takeTicket(counter);
    if (ticket + 1 == blocks)
      *counter = 0;
  }
  __syncthreads();
  return ticket + 1 == blocks;
}

template <int V, int Vp>
__device__ void sample(const float *z, const int *index, const int *steps, const unsigned *sampling, unsigned *counters,
                       float *partials, int *next, float cap, int r) {
  constexpr int slices = (V + sampleColumns - 1) / sampleColumns;
  constexpr bool merges = slices <= sampleMostSlices;
  constexpr int words = slices * (merges ? 2 * sampleFew : 4); // of a row's partials
  const int row = static_cast<int>(blockIdx.x) / slices, slice = static_cast<int>(blockIdx.x) % slices;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const bool wanted = row < r && index[row] >= 0;
  const SampleDraw draw = {__uint_as_float(sampling[0]),
                           cap,
                           sampling[2],
                           sampling[3],
                           sampling[4] + row,
                           wanted ? static_cast<unsigned>(steps[row]) : 0u};
  const int k = static_cast<int>(sampling[1]);
  waitForProducers();
  if (!wanted) {
    if (row < r && slice == 0 && threadIdx.x == 0)
      next[row] = -1;
    return;
  }
  z += static_cast<long long>(row) * Vp;
  unsigned *counter = counters + row;
  // Scratch is f32 by type; here it holds orders, or doubles and ids.
  SampleOrder *found = reinterpret_cast<SampleOrder *>(partials + static_cast<long long>(row) * words);
  const int begin = slice * sampleColumns, end = least(begin + sampleColumns, V);
  const bool greedy = !(draw.temperature > 0), among = k > 0 && k < V, fewer = merges && among && k <= sampleFew;

  SampleChoice mine = {0, -1};
  if (greedy || fewer) {
    const int first = begin + static_cast<int>(threadIdx.x) * samplePerThread;
    float x[samplePerThread];
    SampleOrder orders[samplePerThread];
    sampleLoad<V, Vp>(z, first, x);
#pragma unroll
    for (int i = 0; i < samplePerThread; ++i)
      orders[i] = first + i < V ? sampleOrder(x[i], first + i) : 0;
    if (greedy) {
      SampleOrder most = orders[0];
#pragma unroll
      for (int i = 1; i < samplePerThread; ++i)
        most = orders[i] > most ? orders[i] : most;
      most = sampleLargest(most);
      if (threadIdx.x == 0)
        found[slice] = most;
      if (!sampleIsLast(counter, slices))
        return;
      most = 0;
      for (int i = threadIdx.x; i < slices; i += sampleThreads)
        most = found[i] > most ? found[i] : most;
      most = sampleLargest(most);
      if (threadIdx.x == 0)
        next[row] = sampleIdOf(most);
      return;
    }
    if constexpr (merges) {
      __shared__ SampleOrder top[sampleFew];
      sampleTop(orders, k, top);
      if (static_cast<int>(threadIdx.x) < k)
        found[slice * k + threadIdx.x] = top[threadIdx.x];
      if (!sampleIsLast(counter, slices))
        return;
      constexpr int items = (slices * sampleFew + sampleThreads - 1) / sampleThreads;
      SampleOrder candidates[items];
#pragma unroll
      for (int i = 0; i < items; ++i) {
        const int at = static_cast<int>(threadIdx.x) * items + i;
        candidates[i] = at < slices * k ? found[at] : 0;
      }
      sampleTop(candidates, k, top);
      if (static_cast<int>(threadIdx.x) < k) {
        const SampleOrder order = top[threadIdx.x];
        mine = {draw.exact(sampleValueOf(order), sampleIdOf(order)), sampleIdOf(order)};
      }
    }
  } else if (among) {
    if (slice > 0)
      return;
    mine = sampleScan<V, Vp>(z, 0, V, sampleThreshold<V>(z, k), draw);
  } else {
    mine = sampleBest(sampleScan<V, Vp>(z, begin, end, 0, draw));
    double *scores = reinterpret_cast<double *>(found); // and then ids
    int *ids = reinterpret_cast<int *>(scores + slices);
    if (threadIdx.x == 0) {
      scores[slice] = mine.score;
      ids[slice] = mine.id;
    }
    if (!sampleIsLast(counter, slices))
      return;
    mine = {0, -1};
    for (int i = threadIdx.x; i < slices; i += sampleThreads)
      mine = sampleBetter(mine, {scores[i], ids[i]});
  }
  mine = sampleBest(mine);
  if (threadIdx.x == 0)
    next[row] = mine.id;
}
