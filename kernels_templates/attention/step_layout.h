// What the engines of attention_step have in common in shared memory: a tile of a ring's slots, and a group's queries.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct StepLayout {
  static constexpr int tileSlots = 32; // that a warp does at a time
  static constexpr int rows = 4, groups = tileSlots / rows;
  static constexpr int leastTensor = 32, mostTensor = 256; // heads on tensor cores

  bool tensor;                 // heads of whole 32 elements of bf16
  int keyGroup, valueGroup;    // elements from one group of rows to the next: padded, see StepTile
  int tileElements, tileBytes; // of keys and values
  bool paired;                 // up to four heads have both parts of their queries in neighbouring rows, see StepQuery
  int pitch;                   // elements of a query's row on tensor cores; neighbouring rows: other banks
  int queryFloats;             // of a group's queries
  int stateFloats;             // of a warp, off tensor cores: out and sum of weights of each head

  /// `group` heads that share keys and values, of elements that tensor cores multiply or do not.
  BOTH constexpr StepLayout(int elementBytes, bool multiplied, int group, int D)
      : tensor(multiplied && D % leastTensor == 0 && D <= mostTensor), keyGroup(rows * D + 64 / elementBytes),
        valueGroup(rows * D + 16 / elementBytes), tileElements(groups * (keyGroup + valueGroup)),
        tileBytes(tileElements * elementBytes), paired(group <= 4), pitch(D + 8),
        queryFloats(group * (tensor ? pitch : D)), stateFloats(tensor ? 0 : group * (D + 1)) {}
};

/// Tiles of a ring.
BOTH constexpr long long stepTiles(long long ring) { return ceilOf(ring, StepLayout::tileSlots); }

} // namespace kernels
