#include "kernels_templates/common/wgemm.h"

#include <cstdlib>

namespace kernels {

static std::string requireOneOf(const Params &p, std::string_view name, std::initializer_list<int64_t> choices) {
  const int64_t value = p[name];
  int64_t nearest = *choices.begin();
  for (int64_t choice : choices)
    if (std::abs(choice - value) < std::abs(nearest - value))
      nearest = choice;
  if (value == nearest)
    return "";
  return std::string(name) + " is " + std::to_string(value) + "; the nearest that works is " + std::to_string(nearest);
}

/// Elements of K in a stage.
static uint64_t depthOf(const Params &p) { return wgemmRow / sizeOf(p.type("T")); }

/// A ring of one stage is a ring, though nothing is read while the next is on its way.
static std::string requireRoom(const Params &p, bool norm) {
  const uint64_t tileM = p["tile_m"], tileN = p["tile_n"], split = p["split"];
  auto fits = [&](uint64_t stages, uint64_t parts) {
    return wgemmShared(tileM, tileN, stages, parts, norm) <= wgemmMostShared;
  };
  uint64_t parts = split;
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

std::string wgemmConstraint(const Params &p, bool norm) {
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
  const int64_t steps = blocksFor(p["K"], depthOf(p)); // each block of a split has one at least
  violation = requireRange(p, "split", 1, p["share"] > 1 ? 1 : std::min<int64_t>(8, steps));
  if (!violation.empty())
    return violation;
  if (p["share"] > 1 && p["tile_m"] < 16) // half a tile is whole rows of the swizzle's eight
    return requireRange(p, "share", 1, 1);
  return firstOf({requireRange(p, "blocks", p["split"] * p["share"], maxExtent),
                  requireMultiple(p, "blocks", p["split"] * p["share"], "split * share"), requireRoom(p, norm)});
}

LaunchShape wgemmShape(const Params &p, uint64_t rows, bool norm) {
  const uint64_t tileM = p["tile_m"], tileN = p["tile_n"], split = p["split"], share = p["share"];
  const uint64_t cluster = split * share, blocks = p["blocks"];
  const uint64_t units = elementCount(blocksFor(rows, tileM), blocksFor(p["N"], tileN * share));
  const uint64_t rounds = blocksFor(units, blocks / cluster); // of the clusters that there may be: no more than need be
  LaunchShape shape;
  shape.block[0] = static_cast<uint32_t>(128 * (1 + tileN / 64));
  shape.grid[0] = static_cast<uint32_t>(blocksFor(units, std::max<uint64_t>(rounds, 1)) * cluster);
  shape.cluster = static_cast<uint32_t>(cluster);
  shape.sharedBytes = static_cast<uint32_t>(wgemmShared(tileM, tileN, p["stages"], split, norm));
  return shape;
}

std::vector<TensorMap> wgemmMaps(const Params &p, uint64_t rows) {
  const uint64_t k = p["K"], columns = p["N"], bytes = k * sizeOf(p.type("T"));
  const uint32_t depth = static_cast<uint32_t>(depthOf(p));
  return {{{k, rows}, {bytes}, {depth, static_cast<uint32_t>(p["tile_m"] / p["share"])}},
          {{k, columns}, {bytes}, {depth, static_cast<uint32_t>(p["tile_n"])}}};
}

} // namespace kernels
