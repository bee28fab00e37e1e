#include "kernels_templates/base/predict.h"
#include "kernels_templates/product/product.h"
#include "kernels_templates/product/wgmma_layout.h"

namespace kernels {

constexpr Features needs = Feature::Wgmma | Feature::Tma;
/// Of a block on every target that has them.
constexpr int64_t mostShared = leastBlockShared(needs);

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

/// Every shape that might serve, each with as many stages as half an SM holds, which lets launches overlap, and as a
/// whole one does.
static std::vector<Values> candidates(const Kernel &kernel, const Values &problem, const Target &device) {
  std::vector<Values> all;
  const int64_t rows = problem["n"];
  auto add = [&](int64_t tileM, int64_t tileN, int64_t split, int64_t share, uint32_t most, int64_t resident) {
    const int64_t blocks = device.sms * resident / (split * share) * (split * share);
    for (int64_t stages = 12; stages > 1; --stages) {
      Values spread{{"tile_m", tileM}, {"tile_n", tileN}, {"stages", stages},
                    {"split", split},  {"share", share},  {"blocks", blocks}};
      const Values launch = problem.with(spread);
      if (kernel.constraint(launch).empty() && shape(launch).sharedBytes <= most) {
        all.push_back(std::move(spread));
        return;
      }
    }
  };
  for (int64_t tileM : {8, 16, 32, 64, 96, 128, 192, 256}) {
    // More than the tokens need is idle; far less reads the weights too often.
    if (tileM >= std::max<int64_t>(16, 2 * rows) || tileM < std::min<int64_t>(64, rows / 4))
      continue;
    for (int64_t tileN : {64, 128, 192})
      for (int64_t split = 1; split <= 8; ++split)
        for (int64_t share : {1, 2}) {
          if ((split > 1 && share > 1) || (split > 1 && problem["K"] < 128 * split))
            continue;
          add(tileM, tileN, split, share, halfSmShared, tileN == 64 ? 2 : 1);
          add(tileM, tileN, split, share, device.blockShared, 1);
        }
  }
  return all;
}

/// The constants are those with which 570 launches, nanort tune's on an H100 80GB HBM3 for models d12 to d32 and 1 to
/// 16,384 tokens, came out best. Of the 2,437 in codegen/tuning/h100.json they are off by 12 % on average, and what
/// they choose takes 3 % longer than the best. The norm's are counts of instructions and bytes.
static double predict(const LaunchToPredict &l) {
  constexpr uint64_t depth = 64;                              // of K, in a step
  constexpr double flopsPerUs = 885e6;                        // at the clock of short launches
  constexpr double sharedBytesPerUs = 230e3;                  // of an SM: products read while copies write
  constexpr double l2BytesPerUs = 11.4e6;                     // neighbours that fetch a tile at the same time share it
  constexpr double stageUs = 0.9;                             // from a stage's release until it is full again
  constexpr double splitUs = 0.1, usPerReceivedByte = 2.5e-5; // what a split adds
  constexpr double piecesUs = 11.5e-3, roundUs = 0.05;        // of squares: 12 tokens by three warps; a stage
  // Of the SMs, for more than two: a cluster lies in one GPC. (An H100's driver says 39, 30, 22, 17, 15 and 15 clusters
  // of 3 to 8 blocks if an SM holds one, and 79, 62, 47, 39, 32 and 30 if it holds two.)
  constexpr double inClusters = 0.9;
  const Values &v = l.values;
  const uint64_t tileM = v.count("tile_m"), tileN = v.count("tile_n"), stages = v.count("stages"),
                 split = v.count("split"), share = v.count("share"), element = sizeOf(v.type("T")), sms = l.device.sms;
  const bool norm = v["norm"] != 0;
  const uint64_t cluster = split * share, clusters = std::max<uint64_t>(1, l.shape.blocks / cluster);
  const uint64_t units = ceilDiv(v.count("n"), tileM) * ceilDiv(v.count("N"), tileN * share);
  // Blocks of an SM, by threads' registers and shared memory.
  const uint64_t fit = std::max<uint64_t>(
      1, std::min<uint64_t>({4, 576 / l.shape.threads, (l.device.blockShared + 1024) / (l.shape.sharedBytes + 1024)}));
  const uint64_t slots =
      cluster <= 2 ? sms * fit / cluster : static_cast<uint64_t>(inClusters * sms * static_cast<double>(fit)) / cluster;
  const uint64_t together = std::clamp<uint64_t>(ceilDiv(l.shape.blocks, sms), 1, fit);

  const uint64_t row = depth * element, products = tileN / 64 * (64 + tileM) * row, copies = (tileM + tileN) * row;
  const double shared = static_cast<double>(products + copies + (norm ? tileM / share * row : 0)) / sharedBytesPerUs;
  const double fromL2 = static_cast<double>((tileM / share + tileN) * row * sms) / l2BytesPerUs;
  const double busy = std::max({static_cast<double>(2 * tileM * tileN * depth * sms) / flopsPerUs, shared, fromL2});
  double step = std::max(busy * static_cast<double>(together),
                         stages > 1 ? stageUs / static_cast<double>(stages - 1) : stageUs + busy);
  if (norm)
    step = std::max(step, roundUs + piecesUs * static_cast<double>(ceilDiv(tileM / share, 12)));
  const uint64_t received = (split - 1) * ceilDiv(tileM / 8, split) * 8 * tileN * sizeof(float);
  return l.roofline.beside(static_cast<double>(ceilDiv(units, clusters) * ceilDiv(clusters, slots)) *
                           (static_cast<double>(ceilDiv(ceilDiv(v.count("K"), depth), split)) * step +
                            usPerOutput * static_cast<double>(tileM * tileN * together) +
                            (split > 1 ? splitUs + usPerReceivedByte * static_cast<double>(received) : 0)));
}

const Engine productWgmma = {.name = "wgmma",
                             .header = "product/wgmma.cuh",
                             .body = "productWgmma",
                             .params = {{"tile_m"}, {"tile_n"}, {"stages"}, {"split"}, {"share"}, {"blocks"}},
                             .constraint = constraint,
                             .shape = shape,
                             .maps = maps,
                             .waitsItself = true,
                             .tensorCores = true,
                             .needs = needs,
                             .candidates = candidates,
                             .predict = predict};

} // namespace kernels
