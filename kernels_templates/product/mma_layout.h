// A block's tile, threads and shared memory in the engine `mma`.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct MmaLayout {
  static constexpr long long depth = 64;      // of K, in a stage: rows of 128 bytes of bf16
  static constexpr long long plainDepth = 16; // of K, a round on the ordinary cores
  static constexpr long long room = 96 << 10; // bytes of the ring: half an SM, and what every target has

  long long threads, stageBytes, stages;
  long long squares;     // offset in bytes: [4][tileM] floats
  long long sharedBytes; // on tensor cores
  long long plainBytes;  // of the general path: both tiles transposed, padded by a float

  /// `bytes` of an element of w.
  BOTH constexpr MmaLayout(long long tileM, long long tileN, long long bytes)
      : threads(tileN == 128 ? 256 : 128), stageBytes((tileM * 2 + tileN * bytes) * depth),
        stages(leastOf(6, room / stageBytes)), squares(stages * stageBytes), sharedBytes(squares + 4 * tileM * 4),
        plainBytes(plainDepth * (tileM + tileN + 2) * 4) {}
};

} // namespace kernels
