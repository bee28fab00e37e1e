#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/chunk_wgmma_layout.h"

namespace kernels {

constexpr Features needs = Feature::Wgmma | Feature::Tma;
/// Of a block on every target that has them.
constexpr uint64_t mostShared = leastBlockShared(needs);

static ChunkWgmmaLayout layoutOf(const Values &p) {
  auto of = [&](std::string_view name) { return static_cast<int>(p[name]); };
  return {of("D"), of("tile_q"), of("tile_k"), of("stages")};
}

static std::string constraint(const Values &p) {
  std::string violated = firstOf({requireBf16(p, "T"), requireRange(p, "D", 32, 128), requireMultiple(p, "D", 32, "32"),
                                  requireRange(p, "tile_q", 64, 128), requireMultiple(p, "tile_q", 64, "64"),
                                  requireRange(p, "tile_k", 64, 128), requireMultiple(p, "tile_k", 64, "64"),
                                  requireRange(p, "stages", 1, 8), requireRange(p, "blocks", 1, 1 << 12)});
  if (!violated.empty())
    return violated;
  return requireShared(p, "stages", static_cast<uint64_t>(layoutOf(p).sharedBytes), mostShared);
}

static LaunchShape shape(const Values &v) {
  const ChunkWgmmaLayout layout = layoutOf(v);
  const uint64_t items = elementCount(blocksFor(v.count("n"), v.count("tile_q")), v.count("heads"));
  return {.blocks = static_cast<uint32_t>(std::min(items, v.count("blocks"))),
          .threads = static_cast<uint32_t>(layout.threads),
          .sharedBytes = static_cast<uint32_t>(layout.sharedBytes)};
}

// The weights are rounded to bf16, each by at most 2^-9 of itself, while their sum is not. An output is sum(w v) /
// sum(w): its error is a sum of the same terms, each times a number below 2^-9 that has either sign, so that it has the
// output's own spread times 2^-9 / sqrt(3). Four and a half times that, which one output in 10^5 exceeds, and only
// where the output is as large as the largest: 2^-8 of it.
static double moreTolerance(const Values &) { return roundingOf(DType::BF16) / 2; }

// Boxes of the rows of a tile, and of as many columns as the swizzle has bytes: 64 or 32.
static std::vector<TensorMap> maps(const Values &v, const Limits &limits) {
  const ChunkWgmmaLayout layout = layoutOf(v);
  const uint64_t n = std::max<uint64_t>(1, v.count("n")), D = v.count("D"), ring = v.count("ring"),
                 heads = v.count("heads"), kvHeads = v.count("kv_heads");
  const auto width = static_cast<uint32_t>(layout.width), swizzle = static_cast<uint32_t>(layout.rowBytes),
             queries = static_cast<uint32_t>(v["tile_q"]), keys = static_cast<uint32_t>(v["tile_k"]);
  auto chunk = [&](std::string_view arg, uint64_t across, uint32_t rows) {
    return TensorMap{.arg = arg,
                     .extents = {D, across, n},
                     .strides = {2 * D, 2 * D * across},
                     .box = {width, 1, rows},
                     .swizzle = swizzle};
  };
  const uint64_t planes = elementCount(limits.rows, 2, kvHeads); // keys or values of a head of a row
  return {chunk("q", heads, queries), chunk("k", kvHeads, keys), chunk("v", kvHeads, keys),
          TensorMap{.arg = "kv",
                    .extents = {D, ring, std::clamp<uint64_t>(planes, 1, INT32_MAX)},
                    .strides = {2 * D, 2 * D * ring},
                    .box = {width, keys, 1},
                    .swizzle = swizzle}};
}

struct Spread {
  int64_t queries, keys, stages;
};
constexpr Spread spreads[] = {{128, 128, 2}, {128, 128, 3}, {64, 128, 1}, {64, 64, 2}};

static Values valuesOf(const Spread &s) {
  return {{"tile_q", s.queries}, {"tile_k", s.keys}, {"stages", s.stages}, {"blocks", 1}};
}

bool chunkWgmmaServes(const Values &params) {
  return std::any_of(std::begin(spreads), std::end(spreads),
                     [&](const Spread &s) { return constraint(params.with(valuesOf(s))).empty(); });
}

/// With as many blocks as the SMs hold at a time.
static std::vector<Values> candidates(const Kernel &kernel, const Values &problem, const Target &device) {
  std::vector<Values> all;
  for (const Spread &s : spreads) {
    if (problem["n"] < leastChunk)
      break;
    Values spread = valuesOf(s);
    const Values launch = problem.with(spread);
    if (!kernel.constraint(launch).empty())
      continue;
    spread.set("blocks", int64_t{device.sms} * residentBlocks(shape(launch)));
    all.push_back(std::move(spread));
  }
  return all;
}

static double predict(const LaunchToPredict &l) {
  return l.roofline.launchUs + std::max({l.roofline.bytesUs, l.roofline.flopsUs, chunkTilesUs(l)});
}

const Engine chunkWgmma = {
    .name = "wgmma",
    .header = "attention/chunk_wgmma.cuh",
    .body = "chunkWgmma",
    .params = {{"tile_q"}, {"tile_k"}, {"stages"}, {"blocks"}},
    .args = {{.name = "counters", .access = Access::InOut, .role = Role::Counters, .type = "u32", .shape = "1"}},
    .constraint = constraint,
    .shape = shape,
    .maps = maps,
    .moreTolerance = moreTolerance,
    .waitsItself = true,
    .tensorCores = true,
    .needs = needs,
    .candidates = candidates,
    .predict = predict};

} // namespace kernels
