// A block of nllRows: its threads, and its shared memory.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct NllLayout {
  static constexpr int threads = 512;
  static constexpr int sharedBytes = threads / 32 * 4; // a float a warp, of one reduction after the other
};

} // namespace kernels
