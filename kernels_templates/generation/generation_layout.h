// The one block of feed and of advance: its threads, and its shared memory.
#pragma once

#include "kernels_templates/generation/words.h"

namespace kernels {

struct GenerationLayout {
  static constexpr int feedThreads = 256, advanceThreads = 128;

  // Offsets in bytes: a total a warp, the host's word, and the stop ids.
  int cancel, stops;
  int sharedBytes;

  BOTH constexpr explicit GenerationLayout(int threads)
      : cancel(threads / 32 * 4), stops(cancel + 4), sharedBytes(stops + generation::maxStopIds * 4) {}
};

} // namespace kernels
