// A block's shared memory in the engine `wgmma`.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct WgmmaLayout {
  static constexpr int row = 128;  // bytes of a row of x or w in a stage: the swizzle's
  static constexpr int pitch = 68; // floats of a token in the staging tile: 2 * 68 = 8 mod 32 banks, see stage()

  long long owned;      // octets (groups of 8 tokens) of a tile that a block of a split owns at most
  long long round;      // octets of a round of the epilogue; a third of an SM's threads has no registers for more
  long long stageBytes; // of the ring: [tileN rows of w][tileM rows of x]
  // Offsets in bytes: staging tiles of the epilogue, the sums that other blocks of the cluster send, sums of squares,
  // barriers.
  long long staging, receive, squares, barriers;
  long long sharedBytes;

  BOTH constexpr WgmmaLayout(long long tileM, long long tileN, long long stages, long long split, bool norm)
      : owned(ceilOf(tileM / 8, split)), round(leastOf(tileN == 192 ? 2 : 4, owned)), stageBytes((tileM + tileN) * row),
        staging(stages * stageBytes), receive(staging + tileN / 64 * 8 * round * pitch * 4),
        squares(receive + (split - 1) * owned * tileN * 2 * 16), barriers(squares + (norm ? split * owned * 8 * 4 : 0)),
        sharedBytes(barriers + (2 * stages + 3) * 8) {}
};

} // namespace kernels
