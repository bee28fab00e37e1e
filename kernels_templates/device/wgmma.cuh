// Hopper's matrix products by warpgroups (wgmma), out of tiles in shared memory that matrix.cuh describes. Whoever
// instantiates them has the target sm_90a; all else only parses this file.
#pragma once

#include "kernels_templates/device/matrix.cuh"
#include "kernels_templates/device/types.cuh"

// The warpgroup's share of the registers from here on: all of its warps call it, once, in a branch of their own.
template <int registers> __device__ inline void growRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers> __device__ inline void shrinkRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

// A round of products: beginProducts(), any number of multiplyBf16(), endProducts(); its sums are there behind
// awaitProducts<n>() once at most n newer rounds are under way. In between nothing else may touch them, which
// pinSums() before and after tells the compiler.
template <int = 0> __device__ inline void beginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
template <int = 0> __device__ inline void endProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int rounds> __device__ inline void awaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(rounds) : "memory");
}
// For sums that the next round does not add to. A ptxas before CUDA 12.9 takes them for undefined otherwise, and
// serializes all products (C7515).
template <int count> __device__ inline void defineSums(float (&d)[count]) {
#if __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ < 1209
#pragma unroll
  for (int i = 0; i < count; ++i)
    d[i] = 0;
#endif
}
template <int count> __device__ inline void pinSums(float (&d)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+f"(d[i])::"memory");
}

// multiplyBf16(d, a, b, add): d = a b (+ d if `add`), 64 rows, n = 2 * count columns, k = 16, of bf16, sums in f32. Row
// 16 (warp of the warpgroup) + lane / 4 + 8 i and column 8 j + 2 (lane % 4) + l are d[4 j + 2 i + l]. A is a matrix, or
// the fragments of a thread: {row lane / 4, row + 8, row, row + 8}, the first two at k = 2 (lane % 4) + {0, 1}, the
// others at k + 8.
#define SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_8(i) SUMS_4(i), SUMS_4(i + 4)
#define SUMS_16(i) SUMS_8(i), SUMS_8(i + 8)
#define SUMS_32(i) SUMS_16(i), SUMS_16(i + 16)
#define SUMS_48(i) SUMS_32(i), SUMS_16(i + 32)
#define SUMS_64(i) SUMS_32(i), SUMS_32(i + 32)
#define SUMS_96(i) SUMS_64(i), SUMS_32(i + 64)
#define SUMS_128(i) SUMS_64(i), SUMS_64(i + 64)
#define NAMES_4 "%0, %1, %2, %3"
#define NAMES_8 NAMES_4 ", %4, %5, %6, %7"
#define NAMES_16 NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_32 NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_48 NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NAMES_64 NAMES_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_80 NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define NAMES_96 NAMES_80 ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define NAMES_112                                                                                                      \
  NAMES_96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define NAMES_128                                                                                                      \
  NAMES_112 ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// Operands p0, p1, ... are those behind the sums: literally count, count + 1, ...
#define MULTIPLY(n, count, p0, p1, p2, p3, p4, p5, p6)                                                                 \
  template <bool transposed = false>                                                                                   \
  __device__ inline void multiplyBf16(float(&d)[count], Matrix a, Matrix b, bool add) {                                \
    asm volatile("{\n  .reg .pred p;\n  setp.ne.b32 p, %" #p2 ", 0;\n"                                                 \
                 "  wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" NAMES_##count                          \
                 "}, %" #p0 ", %" #p1 ", p, 1, 1, 0, %" #p3 ";\n}"                                                     \
                 : SUMS_##count(0)                                                                                     \
                 : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(transposed ? 1 : 0)                                 \
                 : "memory");                                                                                          \
  }                                                                                                                    \
  template <bool transposed = false>                                                                                   \
  __device__ inline void multiplyBf16(float(&d)[count], const unsigned(&a)[4], Matrix b, bool add) {                   \
    asm volatile("{\n  .reg .pred p;\n  setp.ne.b32 p, %" #p5 ", 0;\n"                                                 \
                 "  wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" NAMES_##count                          \
                 "}, {%" #p0 ", %" #p1 ", %" #p2 ", %" #p3 "}, %" #p4 ", p, 1, 1, %" #p6 ";\n}"                        \
                 : SUMS_##count(0)                                                                                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)),                     \
                   "n"(transposed ? 1 : 0)                                                                             \
                 : "memory");                                                                                          \
  }
MULTIPLY(8, 4, 4, 5, 6, 7, 8, 9, 10)
MULTIPLY(16, 8, 8, 9, 10, 11, 12, 13, 14)
MULTIPLY(32, 16, 16, 17, 18, 19, 20, 21, 22)
MULTIPLY(64, 32, 32, 33, 34, 35, 36, 37, 38)
MULTIPLY(96, 48, 48, 49, 50, 51, 52, 53, 54)
MULTIPLY(128, 64, 64, 65, 66, 67, 68, 69, 70)
MULTIPLY(192, 96, 96, 97, 98, 99, 100, 101, 102)
MULTIPLY(256, 128, 128, 129, 130, 131, 132, 133, 134)
#undef MULTIPLY
#undef SUMS_4
#undef SUMS_8
#undef SUMS_16
#undef SUMS_32
#undef SUMS_48
#undef SUMS_64
#undef SUMS_96
#undef SUMS_128
#undef NAMES_4
#undef NAMES_8
#undef NAMES_16
#undef NAMES_32
#undef NAMES_48
#undef NAMES_64
#undef NAMES_80
#undef NAMES_96
#undef NAMES_112
#undef NAMES_128

// A format of the operands of such products: all else counts the bytes of rows.
template <typename T> struct WgmmaFormat;
template <> struct WgmmaFormat<bf16> {
  static constexpr int k = 16; // of K, an instruction: 32 bytes of a row, as in every format
  template <int count> __device__ static void multiply(float (&d)[count], Matrix a, Matrix b, bool add) {
    multiplyBf16(d, a, b, add);
  }
};
