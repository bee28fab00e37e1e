// A block's threads and shared memory in the engine `cluster` of attention_step.
#pragma once

#include "kernels_templates/attention/step_layout.h"

namespace kernels {

struct StepClusterLayout : StepLayout {
  static constexpr int mostWarps = 4, threads = 32 * mostWarps;
  static constexpr long long room = 72 << 10; // bytes for tiles under way

  long long tiles, local, warps; // of the ring; of a block of a whole cluster; warps that have any
  long long slots;               // tiles of a warp at a time
  // Offsets in bytes. Tiles lie at 0, [warps][slots]; the new position's key and value, [2][D]; queries; the sums of
  // weights of the cluster's warps, [warps cluster][group], and the share of their outputs that this block merges;
  // states; barriers, [warps][slots] of tiles and one of the partial results.
  long long fresh, queries, totals, sums, states, barriers;
  long long sharedBytes;

  BOTH constexpr StepClusterLayout(int elementBytes, bool multiplied, int group, int D, long long ring, int cluster)
      : StepLayout(elementBytes, multiplied, group, D), tiles(stepTiles(ring)), local(ceilOf(tiles, cluster)),
        warps(leastOf(local, mostWarps)), slots(leastOf(ceilOf(local, warps), mostOf(1, room / (tileBytes * warps)))),
        fresh(warps * slots * tileBytes), queries(fresh + 2 * D * elementBytes), totals(queries + 4 * queryFloats),
        sums(totals + 4 * warps * cluster * group), states(sums + 4 * warps * group * D),
        barriers(ceilOf(states + 4 * warps * stateFloats, 8) * 8), sharedBytes(barriers + (warps * slots + 1) * 8) {}
};

} // namespace kernels
