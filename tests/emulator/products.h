// Matrix instructions: those of a warp, complete when they return, and wgmma's rounds, which are not. A round's
// operands are read at some time between its end and the wait for it; until then its sums are NaN, and what is stored
// to them is lost.
#pragma once

#include "tests/emulator/machine.h"

namespace emulator {

float fromBf16(unsigned bits);
/// To nearest, ties to even; the low half of the word.
unsigned toBf16(float x);

// ---- of a warp; see device/mma.cuh

void mma(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
void loadMatrices(unsigned (&m)[4], unsigned from, bool transposed);
void storeMatrices(unsigned to, const unsigned (&m)[4]); // transposed
unsigned transposeMatrix(unsigned m);

// ---- of a warpgroup; see device/wgmma.cuh

void beginProducts();
/// A from fragments, or, if there are none, by its descriptor.
void multiply(float *sums, int count, uint64_t a, const unsigned *fragments, uint64_t b, bool add, bool transposed);
void endProducts();
void awaitProducts(unsigned rounds);

} // namespace emulator
