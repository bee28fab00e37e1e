// Instructions of a warp that have no name in C++: products of matrices (mma.sync), 8 x 8 matrices of 16-bit elements
// between registers and shared memory, and what goes into them. Of such a matrix a lane holds two neighbours in a
// register: row lane / 4, columns 2 (lane % 4) and one more.
#pragma once

// Two bf16, rounded to nearest, `low` at the lower address.
__device__ inline unsigned packBf16(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// 2^x to about an ulp, in one instruction; 0 for -inf.
__device__ inline float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// sums[16, 8] += a[16, 16] b[16, 8]. A is four matrices: rows 0 to 7 and 8 to 15 of the first 8 of k, then of the
// others; B two, transposed; the sums are rows 0 to 7, then 8 to 15.
__device__ inline void mmaBf16(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four matrices; lane i gives the address of row i % 8 of matrix i / 8.
__device__ inline void loadMatrices(unsigned (&m)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(from)
               : "memory");
}
__device__ inline void loadTransposed(unsigned (&m)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(from)
               : "memory");
}

// A matrix in registers, transposed.
__device__ inline unsigned transposeMatrix(unsigned m) {
  unsigned y;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(m));
  return y;
}

// Four 8 x 8 matrices of 16-bit elements, which threads hold as mma's sums (lane / 4 is the row), to shared memory
// transposed: lane i gives the address of 16 bytes, column i % 8 of matrix i / 8.
__device__ inline void storeTransposed(unsigned to, const unsigned (&m)[4]) {
#if __CUDA_ARCH__ >= 900
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(m[0]), "r"(m[1]),
               "r"(m[2]), "r"(m[3])
               : "memory");
#endif
}
