// A block's threads and shared memory in the engine `simt` of attention_chunk.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels {

struct ChunkSimtLayout {
  static constexpr int threads = 256;

  int width, vectors; // elements of a vector of at most 16 bytes, and vectors of a head
  int lanes, groups;  // that share a key (a power of two), and groups of lanes in a block
  // Offsets in bytes: the groups' tops, sums of weights and outputs, [groups][D], in f32.
  int tops, sums, parts;
  int sharedBytes; // 16 KiB at most, for D of 512

  BOTH constexpr ChunkSimtLayout(int elementBytes, int D)
      : width(16 / elementBytes), vectors(0), lanes(1), groups(0), tops(0), sums(0), parts(0), sharedBytes(0) {
    while (D % width != 0)
      width /= 2;
    vectors = D / width;
    while (lanes < vectors && lanes < 32)
      lanes *= 2;
    groups = threads / lanes;
    sums = groups * 4;
    parts = 2 * groups * 4;
    sharedBytes = parts + groups * D * 4;
  }
};

} // namespace kernels
