#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/chunk_mma_layout.h"

namespace kernels {

/// Of a block on every target.
constexpr uint64_t mostShared = leastBlockShared();

static ChunkMmaLayout layoutOf(const Values &p) {
  auto of = [&](std::string_view name) { return static_cast<int>(p[name]); };
  return {of("D"), of("tile_q"), of("tile_k"), of("stages")};
}

static std::string constraint(const Values &p) {
  std::string violated = firstOf({requireBf16(p, "T"), requireRange(p, "D", 16, 128), requireMultiple(p, "D", 16, "16"),
                                  requireRange(p, "tile_q", 64, 128), requireMultiple(p, "tile_q", 64, "64"),
                                  requireRange(p, "tile_k", 32, 64), requireMultiple(p, "tile_k", 32, "32"),
                                  requireRange(p, "stages", 1, 4)});
  if (!violated.empty())
    return violated;
  return requireShared(p, "stages", static_cast<uint64_t>(layoutOf(p).sharedBytes), mostShared);
}

static LaunchShape shape(const Values &v) {
  const ChunkMmaLayout layout = layoutOf(v);
  return blockEach(elementCount(blocksFor(v.count("n"), v.count("tile_q")), v.count("heads")),
                   static_cast<uint32_t>(layout.threads), static_cast<uint32_t>(layout.sharedBytes));
}

// The weights are rounded to bf16 as those of chunk_wgmma.cpp are, in the same place: see there.
static double moreTolerance(const Values &) { return roundingOf(DType::BF16) / 2; }

/// Where chunk_wgmma is not for the target or for the heads: a block of 128 queries an SM, or two of 64 with the stages
/// that its shared memory lets them have. Where bytes decide alone, the first is taken: large tiles, which copy less,
/// if every SM has one. A token of each row is none of a prompt: a block would walk over the rings of all its queries.
static std::vector<Values> candidates(const Kernel &kernel, const Values &problem, const Target &device) {
  const int64_t n = problem["n"];
  if (n < leastChunk || problem.find("rows").value_or(1) >= n ||
      (device.has(chunkWgmma.needs) && chunkWgmmaServes(problem)))
    return {};
  constexpr uint32_t reserved = 1024; // of an SM's shared memory, for each block
  std::vector<Values> tiles;
  auto add = [&](int64_t queries, int64_t stages, uint32_t blocks) {
    Values spread{{"tile_q", queries}, {"tile_k", 64}, {"stages", stages}};
    const Values launch = problem.with(spread);
    const bool fits = kernel.constraint(launch).empty() &&
                      blocks * (shape(launch).sharedBytes + reserved) <= device.blockShared + reserved;
    if (fits)
      tiles.push_back(std::move(spread));
    return fits;
  };
  if (!add(64, 2, 2))
    add(64, 1, 2);
  if (add(128, 2, 1) && (n + 127) / 128 * problem["heads"] >= device.sms)
    std::rotate(tiles.begin(), tiles.end() - 1, tiles.end());
  return tiles;
}

/// The cost counts every window as full, which would hide what the steps of the tiles say.
static double predict(const LaunchToPredict &l) {
  return l.roofline.launchUs + std::max(l.roofline.bytesUs, chunkTilesUs(l));
}

const Engine chunkMma = {.name = "mma",
                         .header = "attention/chunk_mma.cuh",
                         .body = "chunkMma",
                         .params = {{"tile_q"}, {"tile_k"}, {"stages"}},
                         .constraint = constraint,
                         .shape = shape,
                         .moreTolerance = moreTolerance,
                         .tensorCores = true,
                         .candidates = candidates,
                         .predict = predict};

} // namespace kernels
