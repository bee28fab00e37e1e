// When a launch begins and ends, for nanort bench --explain: only kernels that are compiled to be timed have this.
// stamps[0] is the earliest begin of a block and stamps[1] the complement of the latest end, in nanoseconds of the
// device's clock: both are minima, so that filling them with ones is all it takes to start again. Nothing else reads or
// writes them while the launch runs, so they need not wait for producers.
#pragma once

__device__ inline unsigned long long stampNow() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
  return now;
}

__device__ inline bool stamps() { return threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0; }

__device__ inline void stampBegin(unsigned long long *stamp) {
  if (stamps())
    atomicMin(stamp, stampNow());
}

__device__ inline void stampEnd(unsigned long long *stamp) {
  __syncthreads();
  if (stamps())
    atomicMin(stamp + 1, ~stampNow());
}
