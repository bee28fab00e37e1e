// Barriers in shared memory (mbarrier), named barriers, and fences between ordinary and asynchronous accesses.
#pragma once

using Barrier = unsigned long long;

__device__ inline unsigned sharedAddress(const void *p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

__device__ inline void initBarrier(Barrier *barrier, int arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(arrivals) : "memory");
}

// After the last initBarrier(): copies that complete on them may follow, by the same thread or behind a block barrier.
__device__ inline void publishBarriers() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

__device__ inline void arrive(Barrier *barrier) {
  asm volatile("{\n  .reg .b64 state;\n  mbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(sharedAddress(barrier))
               : "memory");
}

// Waits until the phase of this parity is over.
__device__ inline void await(Barrier *barrier, unsigned parity) {
  unsigned done;
  do {
#if __CUDA_ARCH__ >= 900
    asm volatile("{\n  .reg .pred p;\n  mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n  selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(sharedAddress(barrier)), "r"(parity)
                 : "memory");
#else
    asm volatile("{\n  .reg .pred p;\n  mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n  selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(sharedAddress(barrier)), "r"(parity)
                 : "memory");
#endif
  } while (!done);
}

// A barrier of some warps of the block; `id` from 1 to 15 (0 is __syncthreads()).
template <int threads> __device__ inline void groupBarrier(int id) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "n"(threads) : "memory");
}
// Counts as having come to groupBarrier<threads>(id), and goes on without waiting.
template <int threads> __device__ inline void passBarrier(int id) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "n"(threads) : "memory");
}

// One arrival, and `bytes` that copies or stores will bring before the phase is over.
__device__ inline void arriveExpect(Barrier *barrier, int bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n  .reg .b64 state;\n  mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1;\n}" ::"r"(sharedAddress(barrier)),
      "r"(bytes)
      : "memory");
#endif
}

// What this thread wrote to shared memory by ordinary stores becomes visible to wgmma and TMA: before the barrier
// behind which another thread starts those.
__device__ inline void publishToAsync() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
