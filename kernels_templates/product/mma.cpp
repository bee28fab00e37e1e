#include "kernels_templates/base/predict.h"
#include "kernels_templates/product/mma_layout.h"
#include "kernels_templates/product/product.h"
#include "kernels_templates/product/stream_layout.h"

namespace kernels {

static_assert(MmaLayout::room < leastBlockShared());

static std::string requireTile(const Values &p, std::string_view name) {
  const int64_t extent = p[name];
  if (extent == 32 || extent == 64 || extent == 128)
    return "";
  return std::string(name) + " is " + std::to_string(extent) + "; 32, 64 and 128 work";
}

static std::string constraint(const Values &p) { return firstOf({requireTile(p, "tile_m"), requireTile(p, "tile_n")}); }

static MmaLayout layoutOf(const Values &v) {
  return {v["tile_m"], v["tile_n"], static_cast<long long>(sizeOf(weightType(v)))};
}

/// A block per tile of the outputs.
static LaunchShape shape(const Values &v) {
  const uint64_t height = v.count("tile_m"), width = v.count("tile_n");
  const MmaLayout layout = layoutOf(v);
  return {.blocks = blocksFor(elementCount(blocksFor(v.count("n"), height), blocksFor(v.count("N"), width)), 1),
          .threads = static_cast<uint32_t>(layout.threads),
          .sharedBytes = static_cast<uint32_t>(onTensorCores(v) ? layout.sharedBytes : layout.plainBytes)};
}

/// Every tile, large to small, but those of which the tokens would fill less than half.
static std::vector<Values> candidates(const Kernel &, const Values &problem, const Target &) {
  const int64_t rows = problem["n"];
  if (rows <= StreamLayout::mostRows) // streaming the weights is all the work
    return {};
  struct Tile {
    int64_t rows, columns;
  };
  std::vector<Values> tiles;
  for (Tile tile : {Tile{128, 128}, {128, 64}, {64, 64}, {32, 64}, {32, 32}})
    if (tile.rows < 2 * rows || tile.rows == 32)
      tiles.push_back({{"tile_m", tile.rows}, {"tile_n", tile.columns}});
  return tiles;
}

/// By mma.sync or on the ordinary cores: two blocks an SM, and the SM with the most blocks takes longest.
static double predict(const LaunchToPredict &l) {
  constexpr uint64_t depth = MmaLayout::depth;
  constexpr double copyUs = 2.3; // of a step, of which the ring has stages - 1 under way
  const uint64_t tileM = l.values.count("tile_m"), tileN = l.values.count("tile_n");
  const uint64_t most =
      ceilDiv(ceilDiv(l.values.count("n"), tileM) * ceilDiv(l.values.count("N"), tileN), l.device.sms);
  double us = l.stepUs(2 * tileM * tileN * depth,
                       (tileM * sizeOf(l.values.type("T")) + tileN * sizeOf(weightType(l.values))) * depth);
  if (l.tensorCores()) {
    const auto stages = static_cast<uint64_t>(layoutOf(l.values).stages);
    us = std::max(us, copyUs / static_cast<double>((stages - 1) * std::min<uint64_t>(most, 2)));
  }
  return l.roofline.beside(static_cast<double>(most) * (static_cast<double>(ceilDiv(l.values.count("K"), depth)) * us +
                                                        usPerOutput * static_cast<double>(tileM * tileN)));
}

const Engine productMma = {.name = "mma",
                           .header = "product/mma.cuh",
                           .body = "productMma",
                           .params = {{"tile_m"}, {"tile_n"}},
                           .constraint = constraint,
                           .shape = shape,
                           .waitsItself = true,
                           .tensorCores = true,
                           .fallback = productFallback,
                           .candidates = candidates,
                           .predict = predict};

} // namespace kernels
