// What attention of one token per row works with: the slots of a ring that the token sees, its heads, tiles of slots in
// shared memory, and what one warp makes of them.

#pragma once

#include "kernels_templates/attention/step_layout.h"
#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/format.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/vector.cuh"

constexpr int tileSlots = kernels::StepLayout::tileSlots; // that a warp does at a time

template <typename T, int group, int D>
constexpr kernels::StepLayout stepLayout = kernels::StepLayout(sizeof(T), Format<T>::tensorCores, group, D);

// Weights of softmax are 2^(slope * q.k - peak). Heads are RMS-normed and multiplied, so that no q.k is above D mult^2:
// with that as the peak no weight is above 1, and where scale is 1 / sqrt(D) none is below 2^-100 for heads of up to
// 512. Neither a maximum nor a correction by one is needed, and parts of a sum simply add up.
struct StepScale {
  float slope, peak;
  __device__ StepScale(float scale, float mult, int D)
      : slope(scale * 1.4426950408889634f), peak(slope * mult * mult * D) {}
  __device__ float weight(float product) const { return exp2Fast(slope * product - peak); }
};

// The slots of one token. Work is divided by slots, not by positions, so that no part of it wraps.
template <int ring> struct StepSpan {
  int slot, seen;      // of the new position; older positions
  int lowest, highest; // slots between which all of them lie

  __device__ StepSpan() {}
  __device__ StepSpan(int position, int window) {
    slot = position % ring;
    seen = least(least(window, ring - 1), position);
    lowest = seen > slot ? 0 : slot - seen;
    highest = seen > slot ? ring - 1 : slot;
  }
  __device__ bool sees(int s) const {
    const int age = slot - s;
    return s < ring && (age < 0 ? age + ring : age) <= seen;
  }
  __device__ int firstTile() const { return lowest / tileSlots; }
  __device__ int lastTile() const { return highest / tileSlots; }
};

// Queries in shared memory: f32, or for tensor cores upper and lower bits as two bf16, which keeps 16 bits. Up to four
// heads have them in neighbouring rows, which one product then takes; of more heads they are products of their own.
template <typename T, int group, int D> struct StepQuery {
  static constexpr bool tensor = stepLayout<T, group, D>.tensor, paired = stepLayout<T, group, D>.paired;
  static constexpr int pitch = stepLayout<T, group, D>.pitch;

  float *data;

  __device__ void put(int head, int d, float x) const {
    if constexpr (tensor) {
      bf16 *upper = reinterpret_cast<bf16 *>(data) + (paired ? 2 : 1) * head * pitch + d;
      *upper = fromFloat<bf16>(x);
      upper[paired ? pitch : group * pitch] = fromFloat<bf16>(x - toFloat(*upper));
    } else {
      data[head * D + d] = x;
    }
  }
};

// Keys and values of a tile in shared memory. Four rows lie one behind the other, as in the ring: one copy. Groups of
// four are padded: eight rows, one of each group, are in different banks, for loads of 16 bytes by four lanes a row
// (keys) and by ldmatrix (values).
template <typename T, int D> struct StepTile {
  using Layout = kernels::StepLayout;
  static constexpr int size = static_cast<int>(sizeof(T)), rows = Layout::rows, groups = Layout::groups;
  static constexpr int keyGroup = stepLayout<T, 1, D>.keyGroup, valueGroup = stepLayout<T, 1, D>.valueGroup;

  T *data;
  const T *freshKey, *freshValue; // the new position: not in the ring when the copies start
  int fresh = 0;                  // its row, if it is one
  unsigned live = 0;              // a bit for each row that the token sees

  __device__ const T *key(int o) const { return o == fresh ? freshKey : data + o / rows * keyGroup + o % rows * D; }
  __device__ T *old(int o) const { return data + groups * keyGroup + o / rows * valueGroup + o % rows * D; }
  __device__ const T *value(int o) const { return o == fresh ? freshValue : old(o); }

  // By a warp: the slots from `base` on that the ring has in memory, on their way. The product of a weight 0 with what
  // an earlier kernel left in the others must be 0.
  template <int ring>
  __device__ void fetch(const T *keys, const T *values, const StepSpan<ring> &span, int base, Barrier *barrier) const {
    const int lane = threadIdx.x % 32, g = lane % groups, fresh = span.slot - base;
    const unsigned seen = __ballot_sync(0xffffffffu, span.sees(base + lane));
    beginCopies(barrier, 2 * (__popc(seen) - (fresh >= 0 && fresh < tileSlots)) * D * size);
    // A lane for each group of keys and of values, before the new position and behind it, where the oldest are.
    const int from = lane < 2 * groups ? span.lowest - base : fresh + ring - span.seen;
    const int to = lane < 2 * groups ? fresh : span.highest + 1 - base;
    const int first = g * rows > from ? g * rows : from, last = least(g * rows + rows, to);
    const bool value = lane / groups % 2;
    T *place = value ? old(first) : data + first / rows * keyGroup + first % rows * D;
    copyRow(place, (value ? values : keys) + static_cast<long long>(base + first) * D,
            last > first ? (last - first) * D * size : 0, barrier);
    endCopies(barrier);
    if (seen == 0xffffffffu)
      return;
    if (!(seen >> lane & 1))
#pragma unroll 1
      for (int d = 0; d < D * size / 16; ++d)
        reinterpret_cast<uint4 *>(old(lane))[d] = make_uint4(0, 0, 0, 0);
    publishToAsync(); // a later copy comes to the same place
    __syncwarp();
  }

  // By a warp: which rows count.
  template <int ring> __device__ void look(const StepSpan<ring> &span, int base) {
    fresh = span.slot - base;
    live = __ballot_sync(0xffffffffu, span.sees(base + static_cast<int>(threadIdx.x % 32)));
  }
};

// (sum of weights, out) of the tiles so far of one warp, up to 8 heads: products of mma m16n8k16 whose first operand
// are keys and transposed values, so that heads are the narrow side. Queries and weights come as two bf16 each, their
// upper and their lower bits, which keeps 16 bits of them.
template <typename T, int group, int D, bool tensor = stepLayout<T, group, D>.tensor> struct StepState {
  using Query = StepQuery<T, group, D>;
  static constexpr bool paired = Query::paired; // columns of a product: (upper, lower) of head t, or heads 2 t, 2 t + 1
  static constexpr int held = paired ? 1 : 2;   // heads of a lane, from held * t on; t = lane % 4
  // Out: dims lane / 4 and 8 more of each 16. The sums of weights are those of this lane's positions.
  float out[D / 16][4] = {}, total[held] = {};

  __device__ explicit StepState(float *) {}

  // Row 4 g + i of a tile is row g of matrix i.
  __device__ void add(const StepTile<T, D> &tile, const Query &query, const StepScale &scale) {
    constexpr int pitch = Query::pitch, sets = paired ? 1 : 2;
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint4 *rows = reinterpret_cast<const uint4 *>(reinterpret_cast<const bf16 *>(query.data) + g * pitch) + t;
    const uint4 *key[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      key[i] = reinterpret_cast<const uint4 *>(tile.key(g * 4 + i)) + t;
    float scores[2][2][4] = {}; // of 16 rows; two sums: half as long a chain of products
#pragma unroll 2
    for (int u = 0; u < D / 32; ++u) {
      // Which k an operand slot means is free: a lane takes 8 neighbours with one load.
      uint4 q[sets];
#pragma unroll
      for (int set = 0; set < sets; ++set)
        q[set] = g < (paired ? 2 : 1) * group ? rows[set * group * pitch / 8 + u * 4] : make_uint4(0, 0, 0, 0);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint4 v = key[half * 2][u * 4], w = key[half * 2 + 1][u * 4];
        const unsigned low[4] = {v.x, w.x, v.y, w.y}, high[4] = {v.z, w.z, v.w, w.w};
#pragma unroll
        for (int set = 0; set < sets; ++set) {
          mmaBf16(scores[half][set], low, q[set].x, q[set].y);
          mmaBf16(scores[half][paired ? 1 : set], high, q[set].z, q[set].w);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      // Column i of row 4 g + 2 half + row.
      auto sum = [&](int row, int i) { return scores[half][0][row * 2 + i] + scores[half][1][row * 2 + i]; };
      unsigned weights[sets][2]; // of the rows of matrices 2 half and 2 half + 1
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const bool live = tile.live >> (g * 4 + half * 2 + row) & 1;
        if constexpr (paired) {
          const float x = live ? scale.weight(sum(row, 0) + sum(row, 1)) : 0;
          total[0] += x;
          weights[0][row] = transposeMatrix(packBf16(x, x - __uint_as_float(packBf16(0, x) & 0xffff0000u)));
        } else {
          const float x = live ? scale.weight(sum(row, 0)) : 0, y = live ? scale.weight(sum(row, 1)) : 0;
          total[0] += x;
          total[held - 1] += y;
          const unsigned packed = packBf16(x, y);
          weights[0][row] = transposeMatrix(packed);
          weights[sets - 1][row] =
              transposeMatrix(packBf16(x - __uint_as_float(packed << 16), y - __uint_as_float(packed & 0xffff0000u)));
        }
      }
      const T *value = tile.value(lane % 8 * 4 + half * 2 + lane / 16);
      const unsigned address = sharedAddress(value + lane / 8 % 2 * 8);
#pragma unroll
      for (int i = 0; i < D / 16; ++i) {
        unsigned v[4];
        loadTransposed(v, address + i * 32);
#pragma unroll
        for (int set = 0; set < sets; ++set)
          mmaBf16(out[i], v, weights[set][0], weights[set][1]);
      }
    }
  }

  // stats(head, i, sum of weights) for i = 0 ... 7, and sum(head, d, out), each once. By a warp.
  template <typename Stats, typename Sum> __device__ void put(Stats stats, Sum sum) const {
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int h = 0; h < held; ++h) {
      float all = total[h];
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2)
        all += __shfl_xor_sync(0xffffffffu, all, offset);
      const int head = group == 1 ? 0 : t * held + h;
      if (t * held + h >= group)
        continue;
      stats(head, g, all);
#pragma unroll
      for (int i = 0; i < D / 8; ++i) {
        const float *own = out[i / 2] + i % 2 * 2;
        sum(head, i * 8 + g, paired ? own[0] + own[1] : own[h]);
      }
    }
  }
};

// The same on ordinary cores, with its state in shared memory. A group of lanes per position, 16 bytes of a key a lane;
// afterwards each lane holds the weight of one position.
template <typename T, int group, int D> struct StepState<T, group, D, false> {
  using Query = StepQuery<T, group, D>;
  static constexpr int floats = stepLayout<T, group, D>.stateFloats;
  static constexpr int width = 16 / sizeof(T), vectors = D / width;
  static constexpr int lanes = powerOfTwo(vectors), pieces = (vectors + lanes - 1) / lanes, perStep = 32 / lanes;

  float *state;

  __device__ explicit StepState(float *state) : state(state) {
#pragma unroll 1
    for (int i = threadIdx.x % 32; i < floats; i += 32)
      state[i] = 0;
    __syncwarp();
  }

  __device__ void add(const StepTile<T, D> &tile, const Query &query, const StepScale &scale) {
    const int lane = threadIdx.x % 32, part = lane % lanes, sub = lane / lanes;
#pragma unroll 1
    for (int head = 0; head < group; ++head) {
      float *own = state + head * (D + 1), weight = 0;
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = i * perStep + sub;
        const T *key = tile.key(o);
        float sum = 0;
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (const int d = (part + p * lanes) * width; d < D) {
            float v[width];
            load(key + d, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              sum += query.data[head * D + d + l] * v[l];
          }
        sum = groupSum<lanes>(sum);
        if (part == i && (tile.live >> o & 1))
          weight = scale.weight(sum);
      }
      const float total = warpSum(weight);
      float out[pieces][width] = {};
#pragma unroll 2
      for (int i = 0; i < lanes; ++i) {
        const int o = i * perStep + sub;
        const float w = __shfl_sync(0xffffffffu, weight, sub * lanes + i);
        const T *value = tile.value(o);
#pragma unroll
        for (int p = 0; p < pieces; ++p)
          if (const int d = (part + p * lanes) * width; d < D) {
            float v[width];
            load(value + d, v);
#pragma unroll
            for (int l = 0; l < width; ++l)
              out[p][l] += w * v[l];
          }
      }
#pragma unroll
      for (int p = 0; p < pieces; ++p)
#pragma unroll
        for (int l = 0; l < width; ++l) {
#pragma unroll
          for (int offset = lanes; offset < 32; offset *= 2)
            out[p][l] += __shfl_xor_sync(0xffffffffu, out[p][l], offset);
          if (const int d = (part + p * lanes) * width + l; sub == 0 && d < D)
            own[d] += out[p][l];
        }
      if (lane == 0)
        own[D] += total;
    }
    __syncwarp();
  }

  template <typename Stats, typename Sum> __device__ void put(Stats stats, Sum sum) const {
    const int lane = threadIdx.x % 32;
    for (int head = 0; head < group; ++head) {
      const float *own = state + head * (D + 1);
      if (lane < 8)
        stats(head, lane, own[D]);
      for (int d = lane; d < D; d += 32)
        sum(head, d, own[d]);
    }
  }
};
