// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter-based generator, so
// that any element of a stream can be computed alone. common/philox.cuh is the same for the device.
#pragma once

#include <array>
#include <cstdint>

namespace kernels {

using PhiloxBlock = std::array<uint32_t, 4>;

/// The four random words of one counter under a 64-bit key.
inline PhiloxBlock philox(PhiloxBlock counter, uint32_t keyLow, uint32_t keyHigh) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ keyLow, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ keyHigh, static_cast<uint32_t>(a)};
    keyLow += 0x9E3779B9u;
    keyHigh += 0xBB67AE85u;
  }
  return counter;
}

} // namespace kernels
