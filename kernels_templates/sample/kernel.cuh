// sample<V, Vp>: one token for each row of z f32 [r, Vp], from the first V columns; index -1 gives -1.
// Temperature 0: the largest z. Otherwise the largest softcap(z) / temperature + Gumbel noise among all V or the top_k
// largest z; the noise is Philox's word id % 4 of counter (id / 4, row base + i, step, "nano"). Ties go to the lowest
// id, NaN counts as -inf. The deciding sums are in double, so that the CPU reference chooses the same id. Memory: one
// block of 512 threads per row, four neighbouring columns a thread; later readings come from L1 and L2. Reductions:
// integer counts and maxima, whose order does not matter.

struct SampleChoice {
  double score;
  int id; // -1: none
};

__device__ inline SampleChoice sampleBetter(SampleChoice a, SampleChoice b) {
  if (b.id < 0 || (a.id >= 0 && (a.score > b.score || (a.score == b.score && a.id < b.id))))
    return a;
  return b;
}

template <int threads> __device__ inline SampleChoice sampleBest(SampleChoice mine) {
  __shared__ double scores[threads / 32];
  __shared__ int ids[threads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    mine = sampleBetter(
        mine, {__shfl_xor_sync(0xffffffffu, mine.score, offset), __shfl_xor_sync(0xffffffffu, mine.id, offset)});
  if (threadIdx.x % 32 == 0) {
    scores[threadIdx.x / 32] = mine.score;
    ids[threadIdx.x / 32] = mine.id;
  }
  __syncthreads();
  mine = {scores[0], ids[0]};
  for (int i = 1; i < threads / 32; ++i)
    mine = sampleBetter(mine, {scores[i], ids[i]});
  return mine;
}

// z[id] of a row; -inf for NaN, 0 for -0.
__device__ inline float sampleRead(const float *z, int id) {
  const float x = z[id];
  return x == x ? x + 0.0f : -infinity();
}

// Larger for a larger z, and among equal ones for a lower id; all different.
__device__ inline unsigned long long sampleOrder(float z, int id) {
  const unsigned bits = __float_as_uint(z);
  const unsigned key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<unsigned long long>(key) << 32 | ~static_cast<unsigned>(id);
}

// A bound that exactly the `k` first ids in order reach (0 < k < V): a radix search from the top digit, which stops as
// soon as a whole bucket is taken. At most eight rounds.
template <int V, int threads> __device__ inline unsigned long long sampleThreshold(const float *z, int k) {
  __shared__ int counts[256], digit, above;
  unsigned long long prefix = 0, mask = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    if (threadIdx.x < 256)
      counts[threadIdx.x] = 0;
    __syncthreads();
    for (int base = 0; base < V; base += threads) { // the same trip count for all lanes
      const int id = base + static_cast<int>(threadIdx.x);
      const unsigned long long order = id < V ? sampleOrder(sampleRead(z, id), id) : 0;
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
    if (threadIdx.x < 256) {
      int larger = 0;
      for (int i = static_cast<int>(threadIdx.x) + 1; i < 256; ++i)
        larger += counts[i];
      if (larger < k && larger + counts[threadIdx.x] >= k) { // true of one bucket
        digit = static_cast<int>(threadIdx.x);
        above = larger;
      }
    }
    __syncthreads();
    prefix |= static_cast<unsigned long long>(digit) << shift;
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

template <int V, int Vp>
__device__ void sample(const float *z, const int *index, const int *steps, const unsigned *sampling, int *next,
                       float cap, int r) {
  constexpr int threads = 512;
  const int row = blockIdx.x;
  if (row >= r)
    return;
  if (index[row] < 0) {
    if (threadIdx.x == 0)
      next[row] = -1;
    return;
  }
  z += static_cast<long long>(row) * Vp;
  const float temperature = __uint_as_float(sampling[0]);
  SampleChoice mine = {0, -1};

  if (!(temperature > 0)) {
    for (int id = threadIdx.x; id < V; id += threads)
      mine = sampleBetter(mine, {sampleRead(z, id), id});
  } else {
    const int k = static_cast<int>(sampling[1]);
    const unsigned seedLow = sampling[2], seedHigh = sampling[3], counterRow = sampling[4] + row, step = steps[row];
    const unsigned long long bound = k > 0 && k < V ? sampleThreshold<V, threads>(z, k) : 0;

    auto noise = [=](int block) {
      return philox({static_cast<unsigned>(block), counterRow, step, 0x6e616e6fu}, seedLow, seedHigh);
    };
    auto exact = [=](int id) {
      const double x = sampleRead(z, id), u = (sampleWord(noise(id / 4), id % 4) + 0.5) * 0x1p-32;
      return (cap == 0 ? x : cap * tanh(x / cap)) / temperature - log(-log(u));
    };

    // First in f32, to find the few ids that may win; within the margin double decides.
    float best = -infinity(), second = -infinity();
    int bestId = -1;
    for (int block = threadIdx.x; block * 4 < V; block += threads) {
      const uint4 words = noise(block);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int id = block * 4 + i;
        if (id >= V)
          break;
        const float x = sampleRead(z, id);
        if (sampleOrder(x, id) < bound)
          continue;
        // -log(u) for u = (word + 0.5) / 2^32: near u = 1 from 1 - u, which f32 holds to full precision.
        const unsigned word = sampleWord(words, i);
        const float e = word >> 31 ? -log1pf(-(~word + 0.5f) * 0x1p-32f) : -logf((word + 0.5f) * 0x1p-32f);
        const float score = (cap == 0 ? x : cap * tanhf(x / cap)) / temperature - logf(e);
        if (score > best) {
          second = best;
          best = score;
          bestId = id;
        } else {
          second = fmaxf(second, score);
        }
      }
    }
    // The f32 score errs by some 2^-22 of its terms: of noise below 32 and of a scaled logit, here with a wide berth.
    const float top = blockMax<threads>(best);
    const float least = top - (1e-4f + 1e-5f * fabsf(top));
    if (!(best < least)) { // also if infinities left a NaN
      if (second < least) {
        mine = {exact(bestId), bestId};
      } else {
        for (int block = threadIdx.x; block * 4 < V; block += threads)
          for (int id = block * 4; id < V && id < block * 4 + 4; ++id)
            if (sampleOrder(sampleRead(z, id), id) >= bound)
              mine = sampleBetter(mine, {exact(id), id});
      }
    }
  }
  mine = sampleBest<threads>(mine);
  if (threadIdx.x == 0)
    next[row] = mine.id;
}
