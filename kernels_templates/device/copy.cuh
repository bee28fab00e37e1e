// Asynchronous copies from global to shared memory: what comes is waited for on an mbarrier, or by groups.
#pragma once

#include "kernels_templates/device/mbarrier.cuh"

// Copies of a warp that complete on a barrier: beginCopies() with the sum of their bytes, the copies, endCopies(). From
// sm_90 on the copy engine does them, before by the lanes. The barrier counts copyArrivals.
#if __CUDA_ARCH__ >= 900
constexpr int copyArrivals = 1;
#else
constexpr int copyArrivals = 32;
#endif

__device__ inline void beginCopies(Barrier *barrier, int bytes) {
#if __CUDA_ARCH__ >= 900
  if (threadIdx.x % 32 == 0)
    asm volatile("{\n  .reg .b64 state;\n  mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1;\n}" ::"r"(
                     sharedAddress(barrier)),
                 "r"(bytes)
                 : "memory");
  __syncwarp();
#endif
}

__device__ inline void endCopies(Barrier *barrier) {
#if __CUDA_ARCH__ < 900
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(sharedAddress(barrier)) : "memory");
#endif
}

// For copies of what a step reads once, weights and old keys: from L2 it goes first, so that what the step's kernels
// leave for each other stays there. Nothing else takes a policy: copies with the normal one are slower than without.
__device__ inline unsigned long long readOnce() {
  unsigned long long policy = 0;
#if __CUDA_ARCH__ >= 900
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
#endif
  return policy;
}

// Read once: at most 32 rows of `bytes` (a multiple of 16), `stride` bytes apart in global memory and `pitch` in shared
// memory.
__device__ inline void copyRows(void *to, int pitch, const void *from, long long stride, int rows, int bytes,
                                Barrier *barrier) {
  const int lane = threadIdx.x % 32;
#if __CUDA_ARCH__ >= 900
  if (lane < rows)
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, "
                 "[%3], %4;" ::"r"(sharedAddress(to) + lane * pitch),
                 "l"(static_cast<const char *>(from) + lane * stride), "r"(bytes), "r"(sharedAddress(barrier)),
                 "l"(readOnce())
                 : "memory");
#else
  const int vectors = bytes / 16;
#pragma unroll 1
  for (int i = lane; i < rows * vectors; i += 32)
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(to) + i / vectors * pitch + i % vectors * 16),
        "l"(static_cast<const char *>(from) + i / vectors * stride + i % vectors * 16)
        : "memory");
#endif
}

// Read once: a row of this lane's own, of 0 bytes or a multiple of 16.
__device__ inline void copyRow(void *to, const void *from, int bytes, Barrier *barrier) {
#if __CUDA_ARCH__ >= 900
  if (bytes > 0)
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, "
                 "[%3], %4;" ::"r"(sharedAddress(to)),
                 "l"(from), "r"(bytes), "r"(sharedAddress(barrier)), "l"(readOnce())
                 : "memory");
#else
#pragma unroll 1
  for (int i = 0; i < bytes; i += 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(to) + i),
                 "l"(static_cast<const char *>(from) + i)
                 : "memory");
#endif
}

// Of cp.async, each thread for its own: commitCopies() closes a group, waitForCopies<n>() waits until at most the n
// newest groups are under way.
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups> __device__ inline void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

// 16 bytes from global to shared memory, zeros if not `inside`.
__device__ inline void copyOrZero(unsigned to, const void *from, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(inside ? 16 : 0) : "memory");
}
