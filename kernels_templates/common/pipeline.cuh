// Weights on their way to shared memory while something else is waited for: mbarriers and asynchronous copies.

using Barrier = unsigned long long;

// What the driver makes of a kernels::TensorMap; a kernel parameter.
struct __align__(64) TensorMap {
  unsigned long long words[16];
};

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

// A barrier of some warps of the block; `id` from 1 to 15 (0 is __syncthreads()).
template <int threads> __device__ inline void groupBarrier(int id) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "n"(threads) : "memory");
}
// Counts as having come to groupBarrier<threads>(id), and goes on without waiting.
template <int threads> __device__ inline void passBarrier(int id) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "n"(threads) : "memory");
}

// Clusters of blocks, from sm_90 on; a block elsewhere is alone.
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
