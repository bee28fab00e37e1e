// Matrix descriptors of wgmma (wgmma.cuh): bits 0-13 the address, 16-29 the leading and 32-45 the stride offset, all in
// units of 16 bytes; 62-63: 1 for the 128-byte swizzle, 2 for that of 64.
#pragma once

#include "kernels_templates/device/mbarrier.cuh"

using Matrix = unsigned long long;

// Rows of an operand that lie along k ("K-major"): 8 rows are 1,024 bytes. Column k of the tile of T (a multiple of
// 32 bytes, all in one row of 128) is alongK<T>(matrix, k): the hardware permutes by the bits of the address.
__device__ inline Matrix matrixOf(const void *tile) {
  return static_cast<Matrix>((sharedAddress(tile) & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}
template <typename T> __device__ inline Matrix alongK(Matrix matrix, int k) {
  return matrix + k * static_cast<int>(sizeof(T)) / 16;
}

// Operand B with k along its rows ("N-major", transposed): row k of the tile holds 64 neighbours of n; the next 64 of n
// are `next` bytes on, the next 8 of k 1,024. Row k (a multiple of 16) is alongRows(matrix, k).
__device__ inline Matrix transposedMatrixOf(const void *tile, int next) {
  return static_cast<Matrix>((sharedAddress(tile) & 0x3ffff) >> 4) | static_cast<Matrix>(next >> 4) << 16 |
         64ull << 32 | 1ull << 62;
}
__device__ inline Matrix alongRows(Matrix matrix, int k) { return matrix + k * 128 / 16; }
