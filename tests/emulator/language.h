// What CUDA adds to C++, as far as the kernels use it: everything is in namespace device, where they are compiled.
#pragma once

#include "tests/emulator/machine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

// NOLINTBEGIN(readability-identifier-naming): CUDA's names.
#define __CUDA_ARCH__ 900
#define __device__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __host__
#define __shared__ thread_local // a block has a thread of the system to itself
#define __align__(n) __attribute__((aligned(n)))
#define threadIdx (emulator::self().index)
#define blockIdx (device::blockIndex())
#define blockDim (device::blockShape())
#define gridDim (device::gridShape())

namespace device {

inline emulator::Dim blockIndex() { return emulator::self().block.index; }
inline emulator::Dim blockShape() { return {emulator::self().block.cluster.launch.threads, 1, 1}; }
inline emulator::Dim gridShape() { return {emulator::self().block.cluster.launch.blocks, 1, 1}; }

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

using std::max, std::min;
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __fdividef(float x, float y) { return x / y; }

inline const emulator::WarpValues &meet(const char *operation, unsigned mask, unsigned value) {
  if (mask != 0xffffffffu)
    emulator::fault("operations of a part of a warp are not emulated");
  return emulator::exchange(operation, {value});
}
inline unsigned lane() { return emulator::self().index.x % 32; }
inline void __syncwarp() {
  emulator::pause();
  meet("__syncwarp", 0xffffffffu, 0);
}
inline void __syncthreads() { emulator::namedBarrier(0, emulator::self().block.cluster.launch.threads, true); }
inline int __syncthreads_or(int x) {
  static __shared__ int any;
  __syncthreads(); // an earlier call's readers are done
  any = 0;
  __syncthreads();
  any |= x != 0;
  __syncthreads();
  return any;
}

template <typename T, typename From> T shuffle(const char *operation, unsigned mask, T x, From from) {
  if constexpr (sizeof(T) == 8) {
    const auto both = std::bit_cast<uint64_t>(x);
    const uint64_t low = shuffle(operation, mask, static_cast<unsigned>(both), from);
    return std::bit_cast<T>(uint64_t{shuffle(operation, mask, static_cast<unsigned>(both >> 32), from)} << 32 | low);
  } else {
    const emulator::WarpValues &all = meet(operation, mask, std::bit_cast<unsigned>(x));
    return std::bit_cast<T>(all[from][0]);
  }
}
template <typename T> T __shfl_sync(unsigned mask, T x, int from) { return shuffle("__shfl_sync", mask, x, from % 32); }
template <typename T> T __shfl_xor_sync(unsigned mask, T x, int other) {
  return shuffle("__shfl_xor_sync", mask, x, lane() ^ other);
}
template <typename T> T __shfl_up_sync(unsigned mask, T x, unsigned by) {
  return std::bit_cast<T>(
      meet("__shfl_up_sync", mask, std::bit_cast<unsigned>(x))[lane() < by ? lane() : lane() - by][0]);
}
inline unsigned __ballot_sync(unsigned mask, bool x) {
  const emulator::WarpValues &all = meet("a vote", mask, x);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i)
    bits |= all[i][0] << i;
  return bits;
}
inline bool __any_sync(unsigned mask, bool x) { return __ballot_sync(mask, x) != 0; }
inline bool __all_sync(unsigned mask, bool x) { return __ballot_sync(mask, x) == 0xffffffffu; }
inline unsigned __match_any_sync(unsigned mask, unsigned x) {
  const emulator::WarpValues &all = meet("__match_any_sync", mask, x);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i)
    bits |= static_cast<unsigned>(all[i][0] == x) << i;
  return bits;
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned x) {
  const emulator::WarpValues &all = meet("__reduce_max_sync", mask, x);
  for (unsigned i = 0; i < 32; ++i)
    x = std::max(x, all[i][0]);
  return x;
}
inline int __reduce_min_sync(unsigned mask, int x) {
  const emulator::WarpValues &all = meet("__reduce_min_sync", mask, static_cast<unsigned>(x));
  int least = x;
  for (unsigned i = 0; i < 32; ++i)
    least = std::min(least, static_cast<int>(all[i][0]));
  return least;
}

/// Threads take turns, so that it is one step; others may come between two.
inline int atomicAdd(int *p, int x) {
  emulator::pause();
  return std::exchange(*p, *p + x);
}

} // namespace device
// NOLINTEND(readability-identifier-naming)
