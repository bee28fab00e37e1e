// Clusters of blocks, from sm_90 on; a block elsewhere is alone.
#pragma once

#include "kernels_templates/device/mbarrier.cuh"

__device__ inline int clusterRank() {
  unsigned rank = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("mov.u32 %0, %cluster_ctarank;" : "=r"(rank));
#endif
  return static_cast<int>(rank);
}

// All blocks have come so far before any goes on behind clusterWait(), with their mbarriers initialised.
template <int blocks> __device__ inline void clusterArrive() {
#if __CUDA_ARCH__ >= 900
  if constexpr (blocks > 1)
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}
template <int blocks> __device__ inline void clusterWait() {
#if __CUDA_ARCH__ >= 900
  if constexpr (blocks > 1)
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

// The address that `p`, of this block's shared memory, has in block `rank` of the cluster.
__device__ inline unsigned clusterAddress(const void *p, int rank) {
  unsigned address = 0;
#if __CUDA_ARCH__ >= 900
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(sharedAddress(p)), "r"(rank));
#endif
  return address;
}

// Announces `bytes` that clusterStore() will bring to this block, by one thread; awaitStores() waits for them.
template <int blocks> __device__ inline void expectStores(Barrier *barrier, int bytes) {
#if __CUDA_ARCH__ >= 900
  if constexpr (blocks > 1)
    asm volatile("{\n  .reg .b64 state;\n  mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1;\n}" ::"r"(
                     sharedAddress(barrier)),
                 "r"(bytes)
                 : "memory");
#endif
}
template <int blocks> __device__ inline void awaitStores(Barrier *barrier) {
  if constexpr (blocks > 1)
    await(barrier, 0);
  else
    __syncthreads();
}

// Writes to the shared memory of a block of the cluster, at the place that `p` has in this one, and counts the bytes on
// that block's `barrier`.
template <int blocks> __device__ inline void clusterStore(float *p, int rank, float x, Barrier *barrier) {
#if __CUDA_ARCH__ >= 900
  if constexpr (blocks > 1) {
    const unsigned to = clusterAddress(p, rank), counter = clusterAddress(barrier, rank);
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(to), "f"(x),
                 "r"(counter)
                 : "memory");
    return;
  }
#endif
  *p = x;
}

// Arrives at the barrier that block `rank` of the cluster has in the place of `barrier`. It lets that block overwrite
// what this thread has read; it publishes nothing that this thread has written (for the cluster to see, that would take
// a fence of all its memory accesses).
__device__ inline void arriveAt(Barrier *barrier, int rank) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(clusterAddress(barrier, rank)) : "memory");
#endif
}

// Four floats into the shared memory of another block, 16 bytes on its barrier; both addresses from clusterAddress().
__device__ inline void clusterStore4(unsigned to, const float *x, unsigned barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
      "f"(x[0]), "f"(x[1]), "f"(x[2]), "f"(x[3]), "r"(barrier)
      : "memory");
#endif
}
