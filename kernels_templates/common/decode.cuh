// Decode attention, one token per row: what attention_decode and attention_decode_ve share; the former's kernel.cuh
// says what it computes.

// 16 bytes from global to shared memory without registers; commitCopies() closes a group, waitForCopies<n>() waits
// until at most the n newest groups are under way (each thread for its own).
__device__ inline void copyAsync(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(from)
               : "memory");
}
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups> __device__ inline void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

// Values as the linear layer made them.
struct NoGate {
  __device__ void prepare(int, int) {}
  __device__ float at(int) const { return 0; }
};

template <typename T, typename P, int heads, int kv_heads, int D, int ring, int chunk, typename Gate>
__device__ inline void decodeAttention(const T *qkv, const P *table, const int *rows, const int *positions, T *kv,
                                       unsigned *counters, float *partials, T *y, float mult, int window, float scale,
                                       int n, Gate gate) {
  constexpr int threads = 128, warps = threads / 32, group = heads / kv_heads, half = D / 2;
  constexpr int width = 16 / sizeof(T), vectors = D / width;
  constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, slices = threads / lanes;
  extern __shared__ __align__(16) unsigned char shared[];
  T *keys = reinterpret_cast<T *>(shared), *values = keys + chunk * D; // [chunk][D] each
  float *query = reinterpret_cast<float *>(values + chunk * D);        // [group][D]
  float *parts = query + group * D, *weights = parts + slices * D;     // [slices][D], [group][chunk]
  __shared__ unsigned ticket;

  const int chunks = static_cast<int>(gridDim.x) / (n * kv_heads), c = static_cast<int>(blockIdx.x) % chunks;
  const int owner = static_cast<int>(blockIdx.x) / chunks, g = owner % kv_heads, t = owner / kv_heads;
  // The step's inputs are the host's or the last kernel's of the step before: safe to read before the wait.
  const int row = rows[t], position = positions[t], seen = least(window, ring - 1);
  const int first = position > seen ? position - seen : 0, firstChunk = first / chunk;
  const int active = least(position / chunk - firstChunk + 1, chunks);
  T *result = y + (static_cast<long long>(t) * heads + g * group) * D;
  if (row < 0 || c >= active) {
    waitForProducers();
    if (row < 0 && c == 0)
      for (int i = threadIdx.x; i < group * D; i += threads)
        result[i] = fromFloat<T>(0);
    return;
  }

  const int mine = (firstChunk + c) * chunk, begin = mine > first ? mine : first;
  const int end = least(position + 1, mine + chunk), count = end - begin;
  const bool newest = end == position + 1;
  T *ringKeys = kv + (static_cast<long long>(row) * 2 * kv_heads + g) * ring * D;
  T *ringValues = ringKeys + static_cast<long long>(kv_heads) * ring * D;
  // Positions before this one were written in earlier steps, and none of them lies in the slot written now: all of the
  // chunk is under way before the producers are done.
  const int copies = (newest ? count - 1 : count) * vectors;
  for (int i = threadIdx.x; i < copies; i += threads)
    copyAsync(keys + i * width,
              ringKeys + static_cast<long long>((begin + i / vectors) % ring) * D + i % vectors * width);
  commitCopies();
  for (int i = threadIdx.x; i < copies; i += threads)
    copyAsync(values + i * width,
              ringValues + static_cast<long long>((begin + i / vectors) % ring) * D + i % vectors * width);
  commitCopies();
  waitForProducers();

  // Rotation, norm and multiplier: a warp per head, a lane per pair.
  constexpr int pairs = (half + 31) / 32;
  const T *x = qkv + static_cast<long long>(t) * (heads + 2 * kv_heads) * D;
  const P *angles = table + static_cast<long long>(position) * D;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int item = warp; item < group + newest; item += warps) {
    const T *in = x + (item < group ? g * group + item : heads + g) * D;
    float a[pairs], b[pairs], squares = 0;
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = lane + i * 32;
      a[i] = b[i] = 0;
      if (d < half) {
        const float left = toFloat(in[d]), right = toFloat(in[half + d]);
        const float cosine = toFloat(angles[d]), sine = toFloat(angles[half + d]);
        a[i] = left * cosine + right * sine;
        b[i] = right * cosine - left * sine;
      }
      squares += a[i] * a[i] + b[i] * b[i];
    }
    const float factor = mult * rsqrtf(warpSum(squares) / D + 0x1p-23f);
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int d = lane + i * 32;
      if (d >= half)
        break;
      if (item < group) {
        query[item * D + d] = a[i] * factor;
        query[item * D + half + d] = b[i] * factor;
      } else {
        T *slot = ringKeys + static_cast<long long>(position % ring) * D, *tile = keys + (count - 1) * D;
        slot[d] = tile[d] = fromFloat<T>(a[i] * factor);
        slot[half + d] = tile[half + d] = fromFloat<T>(b[i] * factor);
      }
    }
  }
  if (newest) { // the same for the whole block
    gate.prepare(t, g);
    T *slot = ringValues + static_cast<long long>(position % ring) * D, *tile = values + (count - 1) * D;
    for (int d = threadIdx.x; d < D; d += threads)
      slot[d] = tile[d] = fromFloat<T>(toFloat(x[(heads + kv_heads + g) * D + d]) + gate.at(d));
  }
  waitForCopies<1>();
  __syncthreads();

  const int slice = threadIdx.x / lanes, part = threadIdx.x % lanes;
  for (int h = 0; h < group; ++h) {
    float q[pieces][width];
#pragma unroll
    for (int i = 0; i < pieces; ++i)
      if (part + i * lanes < vectors)
#pragma unroll
        for (int l = 0; l < width; ++l)
          q[i][l] = query[h * D + (part + i * lanes) * width + l];
#pragma unroll 4
    for (int base = 0; base < count; base += slices) { // the same trip count for all lanes
      const int j = base + slice;
      float sum = 0;
      if (j < count)
#pragma unroll
        for (int i = 0; i < pieces; ++i)
          if (part + i * lanes < vectors) {
            float key[width];
            load(keys + j * D + (part + i * lanes) * width, key);
#pragma unroll
            for (int l = 0; l < width; ++l)
              sum += q[i][l] * key[l];
          }
      sum = groupSum<lanes>(sum);
      if (part == 0 && j < count)
        weights[h * chunk + j] = scale * sum;
    }
  }
  __syncthreads();

  float *partial = partials + (static_cast<long long>(owner) * chunks + c) * group * (D + 2);
  for (int h = warp; h < group; h += warps) {
    float top = -infinity(), sum = 0;
    for (int j = lane; j < count; j += 32)
      top = fmaxf(top, weights[h * chunk + j]);
    top = warpMax(top);
    for (int j = lane; j < count; j += 32) {
      const float weight = expf(weights[h * chunk + j] - top);
      weights[h * chunk + j] = weight;
      sum += weight;
    }
    sum = warpSum(sum);
    if (lane == 0) {
      partial[h * (D + 2) + D] = top;
      partial[h * (D + 2) + D + 1] = sum;
    }
  }
  waitForCopies<0>();
  __syncthreads();

  for (int h = 0; h < group; ++h) {
    float out[pieces][width] = {};
#pragma unroll 4
    for (int j = slice; j < count; j += slices) {
      const float weight = weights[h * chunk + j];
#pragma unroll
      for (int i = 0; i < pieces; ++i)
        if (part + i * lanes < vectors) {
          float value[width];
          load(values + j * D + (part + i * lanes) * width, value);
#pragma unroll
          for (int l = 0; l < width; ++l)
            out[i][l] += weight * value[l];
        }
    }
#pragma unroll
    for (int i = 0; i < pieces; ++i)
      if (part + i * lanes < vectors)
#pragma unroll
        for (int l = 0; l < width; ++l)
          parts[slice * D + (part + i * lanes) * width + l] = out[i][l];
    __syncthreads();
    for (int d = threadIdx.x; d < D; d += threads) {
      float sum = 0;
#pragma unroll
      for (int s = 0; s < slices; ++s)
        sum += parts[s * D + d];
      partial[h * (D + 2) + d] = sum;
    }
    __syncthreads();
  }

  // The last block of this row and head to arrive merges, in order of position whoever it is.
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    ticket = atomicAdd(counters + owner, 1u);
  __syncthreads();
  if (ticket + 1 != static_cast<unsigned>(active))
    return;
  if (threadIdx.x == 0)
    counters[owner] = 0;
  __threadfence();
  for (int i = threadIdx.x; i < group * D; i += threads) {
    const int h = i / D, d = i % D;
    const float *from = partials + (static_cast<long long>(owner) * chunks * group + h) * (D + 2);
    float top = -infinity(), total = 0, value = 0;
#pragma unroll 4
    for (int k = 0; k < active; ++k)
      top = fmaxf(top, from[static_cast<long long>(k) * group * (D + 2) + D]);
#pragma unroll 4
    for (int k = 0; k < active; ++k) {
      const float *one = from + static_cast<long long>(k) * group * (D + 2);
      const float weight = expf(one[D] - top);
      total += weight * one[D + 1];
      value += weight * one[d];
    }
    result[i] = fromFloat<T>(value / total);
  }
}
