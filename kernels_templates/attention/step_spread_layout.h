// A block's shared memory and the partial results in the engine `spread` of attention_step.
#pragma once

#include "kernels_templates/attention/step_layout.h"

namespace kernels {

struct StepSpreadLayout : StepLayout {
  static constexpr int mostWarps = 8;
  static constexpr long long room = 96 << 10; // bytes for the warps, on every target

  // Of a warp, in bytes: its tile lies at 0, then the new position's key and value, [2][D], and queries.
  int fresh, queries, warpBytes;
  int warps, threads;
  int barriers, sharedBytes; // offset: one for each warp
  int record;                // floats of a head's partial result: out, sum of weights, and up to 16 bytes
  long long parts;           // chunks that a head of a row has at most
  long long partialFloats;   // of all heads of a group

  BOTH constexpr StepSpreadLayout(int elementBytes, int group, int D, long long ring, long long chunk)
      : StepLayout(elementBytes, true, group, D), fresh(tileBytes), queries(fresh + 2 * D * elementBytes),
        warpBytes(queries + 4 * queryFloats), warps(static_cast<int>(leastOf(mostWarps, room / warpBytes))),
        threads(32 * warps), barriers(warps * warpBytes), sharedBytes(barriers + warps * 8), record(D + 4),
        parts(ceilOf(ring, chunk)), partialFloats(parts * group * record) {}
};

} // namespace kernels
