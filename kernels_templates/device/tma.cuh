// Tiles by the copy engine (TMA), from sm_90 on. A tile is rows of 128 bytes (64 bf16), one behind the other, from a
// multiple of 1,024 bytes on; the 16-byte pieces of row r are permuted: piece p lies at place p ^ (r % 8). That is the
// 128-byte swizzle of TensorMap, and what matrix.cuh describes to the products. `map` is the generic address of a
// __grid_constant__ parameter; one thread calls.
#pragma once

#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/mbarrier.cuh"

// What the driver makes of a kernels::TensorMap; a kernel parameter.
struct __align__(64) TensorMap {
  unsigned long long words[16];
};

__device__ inline void prefetchMap(const TensorMap *map) {
#if __CUDA_ARCH__ >= 900
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

// The box at (c0, c1), c0 along the contiguous dimension. Its bytes complete on `barrier`, those outside the extents
// too: they become zeros.
__device__ inline void copyTile(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], "
               "[%2];" ::"r"(sharedAddress(to)),
               "l"(map), "r"(sharedAddress(barrier)), "r"(c0), "r"(c1)
               : "memory");
#endif
}
__device__ inline void copyTileOnce(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1) { // readOnce()
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], "
               "[%1, {%3, %4}], [%2], %5;" ::"r"(sharedAddress(to)),
               "l"(map), "r"(sharedAddress(barrier)), "r"(c0), "r"(c1), "l"(readOnce())
               : "memory");
#endif
}
__device__ inline void copyTile(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1, int c2) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
               "[%2];" ::"r"(sharedAddress(to)),
               "l"(map), "r"(sharedAddress(barrier)), "r"(c0), "r"(c1), "r"(c2)
               : "memory");
#endif
}
__device__ inline void copyTile(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1, int c2, int c3) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
               "%6}], [%2];" ::"r"(sharedAddress(to)),
               "l"(map), "r"(sharedAddress(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
#endif
}

// To the same place in every block of the cluster whose bit in `blocks` is set, completing on each one's own barrier.
__device__ inline void copyTileToAll(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1,
                                     unsigned short blocks) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
               "[%1, {%3, %4}], [%2], %5;" ::"r"(sharedAddress(to)),
               "l"(map), "r"(sharedAddress(barrier)), "r"(c0), "r"(c1), "h"(blocks)
               : "memory");
#endif
}
