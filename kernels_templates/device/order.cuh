// Accesses for what crosses blocks, and what the host reads while the device runs.
#pragma once

// Counts one more, and returns how many came before. Whoever comes last sees what all wrote before they came, if their
// threads met the one that calls; that one's threads after meeting it again.
__device__ inline unsigned takeTicket(unsigned *counter) {
  unsigned before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
  return before;
}

// The same without an order of other accesses: nothing but the number.
__device__ inline unsigned takeNumber(unsigned *counter) {
  unsigned before;
  asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], 1;" : "=r"(before) : "l"(counter));
  return before;
}

// Words that the host writes and reads.
__device__ inline int loadFromHost(const int *p) {
  int word;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(word) : "l"(p) : "memory");
  return word;
}
__device__ inline void storeToHost(int *p, int word) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(word) : "memory");
}
