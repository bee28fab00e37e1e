// Philox4x32-10, as common/philox.h.
__device__ inline uint4 philox(uint4 counter, unsigned keyLow, unsigned keyHigh) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const unsigned long long a = 0xD2511F53ull * counter.x, b = 0xCD9E8D57ull * counter.z;
    counter = {static_cast<unsigned>(b >> 32) ^ counter.y ^ keyLow, static_cast<unsigned>(b),
               static_cast<unsigned>(a >> 32) ^ counter.w ^ keyHigh, static_cast<unsigned>(a)};
    keyLow += 0x9E3779B9u;
    keyHigh += 0xBB67AE85u;
  }
  return counter;
}
