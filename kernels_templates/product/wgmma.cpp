#include "kernels_templates/product/wgmma_layout.h"
#include "kernels_templates/product/product.h"

namespace kernels {

/// Largest dynamic shared memory of a block on sm_90.
constexpr int64_t mostShared = 227 << 10;

/// Elements of K in a stage.
static uint64_t depthOf(const Values &p) { return WgmmaLayout::row / sizeOf(p.type("T")); }

static int64_t sharedBytes(const Values &p, int64_t stages, int64_t split) {
  return WgmmaLayout(p["tile_m"], p["tile_n"], stages, split, p["norm"] != 0).sharedBytes;
}

/// A ring of one stage is a ring, though nothing is read while the next is on its way.
static std::string requireRoom(const Values &p) {
  const int64_t split = p["split"];
  auto fits = [&](int64_t stages, int64_t parts) { return sharedBytes(p, stages, parts) <= mostShared; };
  int64_t parts = split;
  while (!fits(1, parts)) // fits without a split
    --parts;
  if (parts < split)
    return "split is " + std::to_string(split) +
           ", which leaves no shared memory for a stage; the nearest that works is " + std::to_string(parts);
  int64_t most = 1;
  while (fits(most + 1, split))
    ++most;
  return requireRange(p, "stages", 1, most);
}

static std::string constraint(const Values &p) {
  if (std::string violation = requireBf16(p, "T"); !violation.empty())
    return violation;
  const int64_t aligned = static_cast<int64_t>(16 / sizeOf(p.type("T"))); // TMA's rows start at multiples of 16 bytes
  std::string violation =
      firstOf({requireRange(p, "K", aligned, maxExtent), requireRange(p, "N", 8, maxExtent),
               requireMultiple(p, "K", aligned, std::to_string(aligned)), requireMultiple(p, "N", 8, "8"),
               requireOneOf(p, "tile_m", {8, 16, 32, 64, 96, 128, 192, 256}), requireOneOf(p, "tile_n", {64, 128, 192}),
               requireRange(p, "share", 1, 2)});
  if (!violation.empty())
    return violation;
  // Threads share an SM's registers: 512 of them leave too few for more sums, and so do two blocks of 256.
  if (p["tile_n"] == 192 ? p["tile_m"] > 128 : p["tile_n"] == 64 && p["tile_m"] > 192)
    return "tile_n is " + std::to_string(p["tile_n"]) + "; with tile_m " + std::to_string(p["tile_m"]) +
           " the nearest that works is 128";
  const int64_t steps = blocksFor(p.count("K"), depthOf(p)); // each block of a split has one at least
  violation = requireRange(p, "split", 1, p["share"] > 1 ? 1 : std::min<int64_t>(8, steps));
  if (!violation.empty())
    return violation;
  if (p["share"] > 1 && p["tile_m"] < 16) // half a tile is whole rows of the swizzle's eight
    return requireRange(p, "share", 1, 1);
  return firstOf({requireRange(p, "blocks", p["split"] * p["share"], maxExtent),
                  requireMultiple(p, "blocks", p["split"] * p["share"], "split * share"), requireRoom(p)});
}

/// Blocks for the tiles of the outputs: no more than the parameter, and no more than finish as early.
static LaunchShape shape(const Values &v) {
  const uint64_t tileM = v.count("tile_m"), tileN = v.count("tile_n"), split = v.count("split"),
                 share = v.count("share");
  const uint64_t cluster = split * share, blocks = v.count("blocks");
  const uint64_t units = elementCount(blocksFor(v.count("n"), tileM), blocksFor(v.count("N"), tileN * share));
  const uint64_t rounds = blocksFor(units, blocks / cluster); // of the clusters that there may be: no more than need be
  return {.blocks = static_cast<uint32_t>(blocksFor(units, std::max<uint64_t>(rounds, 1)) * cluster),
          .threads = static_cast<uint32_t>(128 * (1 + tileN / 64)),
          .sharedBytes = static_cast<uint32_t>(sharedBytes(v, v["stages"], v["split"])),
          .cluster = static_cast<uint32_t>(cluster)};
}

/// Of x[n, K] and w[N, K], a stage's K a box.
static std::vector<TensorMap> maps(const Values &v, const Limits &) {
  const uint64_t k = v.count("K"), bytes = k * sizeOf(v.type("T"));
  const auto depth = static_cast<uint32_t>(depthOf(v));
  return {{"x", {k, v.count("n")}, {bytes}, {depth, static_cast<uint32_t>(v["tile_m"] / v["share"])}},
          {"w", {k, v.count("N")}, {bytes}, {depth, static_cast<uint32_t>(v["tile_n"])}}};
}

const Engine productWgmma = {
    .name = "wgmma",
    .header = "product/wgmma.cuh",
    .body = "productWgmma",
    .params = {{"tile_m"}, {"tile_n"}, {"stages"}, {"split"}, {"share"}, {"blocks"}},
    .constraint = constraint,
    .shape = shape,
    .maps = maps,
    .waitsItself = true,
    .tensorCores = true,
    .target = "sm_90a"};

} // namespace kernels
