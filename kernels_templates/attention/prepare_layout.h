// A block's threads and shared memory in preparing q, k and v.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct PrepareLayout {
  static constexpr int threads = 128;                         // a block per token
  static constexpr int partials = 0;                          // offset in bytes of a reduction's, a float for each warp
  static constexpr int factors = partials + threads / 32 * 4; // offset of the gate's factor of each head

  /// Nothing without a gate.
  BOTH static constexpr int sharedBytes(int kvHeads, bool gate) { return gate ? factors + kvHeads * 4 : 0; }
};

} // namespace kernels
