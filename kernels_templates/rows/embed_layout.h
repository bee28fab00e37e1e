// A block of embedNorm and embedSmear: its threads, and its shared memory.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct EmbedLayout {
  static constexpr int threads = 256;
  static constexpr int sharedBytes = threads / 32 * 4; // a float a warp, of one sum after the other
};

} // namespace kernels
