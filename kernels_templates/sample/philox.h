// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based generator, so
// that any element of a stream can be computed alone.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct PhiloxBlock {
  unsigned x, y, z, w;

  /// Word i of 0 to 3. Choices rather than an array: on the device, words stay in registers.
  BOTH constexpr unsigned operator[](int i) const { return i == 0 ? x : i == 1 ? y : i == 2 ? z : w; }
  BOTH constexpr bool operator==(const PhiloxBlock &o) const { return x == o.x && y == o.y && z == o.z && w == o.w; }
};

/// The four random words of one counter under a 64-bit key.
BOTH constexpr PhiloxBlock philox(PhiloxBlock counter, unsigned keyLow, unsigned keyHigh) {
#ifdef __CUDACC__
#pragma unroll
#endif
  for (int round = 0; round < 10; ++round) {
    const unsigned long long a = 0xD2511F53ull * counter.x, b = 0xCD9E8D57ull * counter.z;
    counter = {static_cast<unsigned>(b >> 32) ^ counter.y ^ keyLow, static_cast<unsigned>(b),
               static_cast<unsigned>(a >> 32) ^ counter.w ^ keyHigh, static_cast<unsigned>(a)};
    keyLow += 0x9E3779B9u;
    keyHigh += 0xBB67AE85u;
  }
  return counter;
}

} // namespace kernels
