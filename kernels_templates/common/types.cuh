// Element types on the device. Header-free: NVRTC compiles kernels without an include path.

struct bf16 {
  unsigned short bits;
};

__device__ inline float toFloat(float x) { return x; }
__device__ inline float toFloat(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

// Rounds to nearest, ties to even.
template <typename T> __device__ T fromFloat(float x);
template <> __device__ inline float fromFloat<float>(float x) { return x; }
template <> __device__ inline bf16 fromFloat<bf16>(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

__device__ inline float infinity() { return __uint_as_float(0x7f800000u); }

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

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
