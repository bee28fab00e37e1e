// A body's place in its grid, and programmatic dependent launch.
#pragma once

// Where a block stands among those that share a body's work. Bodies ask this rather than blockIdx, so that a kernel can
// run several of them in turn.
struct Grid {
  unsigned block, blocks;

  // The unit of work of this thread or warp, when each has one.
  __device__ long long thread() const { return static_cast<long long>(block) * blockDim.x + threadIdx.x; }
  __device__ long long warp() const { return thread() / 32; }
};

// Programmatic dependent launch. Consumers that may be scheduled wait in turn before they touch what launches make, so
// all order along a chain of launches rests on every block passing awaitProducers().

// Lets the consumers be scheduled as SMs have room for them.
__device__ inline void startConsumers() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Waits until the producers' results are visible.
__device__ inline void awaitProducers() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
#ifdef NANO_CHAOS
  // Some blocks are late before they store anything: a consumer that does not wait as it should then shows.
  unsigned now, hash = blockIdx.x * 2654435761u + NANO_CHAOS * 40503u;
  asm volatile("mov.u32 %0, %clock;" : "=r"(now));
  hash = (hash ^ now) * 2246822519u;
  if (hash >> 30 == 0)
    __nanosleep(hash >> 12 & 0x3fff);
#endif
}

__device__ inline void waitForProducers() {
  awaitProducers();
  startConsumers();
}
