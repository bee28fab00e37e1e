#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/step_cluster_layout.h"

namespace kernels {

/// Of a block on every target, less a part for barriers.
constexpr uint64_t mostShared = leastBlockShared() - (3 << 10);

static StepClusterLayout layoutOf(const Values &p) {
  const DType type = p.type("T");
  return {static_cast<int>(sizeOf(type)), type == DType::BF16, static_cast<int>(p["heads"] / p["kv_heads"]),
          static_cast<int>(p["D"]),       p["ring"],           static_cast<int>(p["cluster"])};
}

/// Why heads of bf16 miss the tensor cores.
static std::string fallback(const Values &p) {
  if (p.type("T") != DType::BF16)
    return "";
  return firstOf({requireRange(p, "D", StepLayout::leastTensor, StepLayout::mostTensor),
                  requireMultiple(p, "D", StepLayout::leastTensor, std::to_string(StepLayout::leastTensor))});
}

static std::string constraint(const Values &p) {
  std::string violated = firstOf({requireGroup(p), requireRange(p, "D", 8, 512), requireMultiple(p, "D", 8, "8"),
                                  requireRange(p, "cluster", 1, 8)});
  if (!violated.empty())
    return violated;
  if (p["D"] % p["cluster"])
    return "cluster is " + std::to_string(p["cluster"]) + ", which does not divide D; 1 works";
  return requireShared(p, "D", static_cast<uint64_t>(layoutOf(p).barriers), mostShared);
}

static LaunchShape shape(const Values &v) {
  return {.blocks = blocksFor(elementCount(v.count("n"), v.count("kv_heads"), v.count("cluster")), 1),
          .threads = StepClusterLayout::threads,
          .sharedBytes = static_cast<uint32_t>(layoutOf(v).sharedBytes),
          .cluster = static_cast<uint32_t>(v["cluster"])};
}

/// On an H100 single blocks were never best: they end a launch unevenly. More blocks than
/// tiles would be idle.
static std::vector<Values> candidates(const Kernel &kernel, const Values &problem, const Target &device) {
  std::vector<Values> all;
  const int64_t tiles = (problem["ring"] + StepLayout::tileSlots - 1) / StepLayout::tileSlots;
  const bool clusters = device.has(Feature::Clusters);
  for (int64_t cluster : {8, 4, 2, 1}) {
    Values spread{{"cluster", cluster}};
    if ((cluster == 1 ? !clusters || tiles == 1 : clusters && cluster < 2 * tiles) &&
        kernel.constraint(problem.with(spread)).empty())
      all.push_back(std::move(spread));
  }
  return all;
}

/// An H100 80GB HBM3 has shown, with d12, d20 and d32, 8 to 128 rows and clusters of 1 to 8, what a block takes besides
/// its tiles, and a round of them: of those 27 launches at 512 to 536 positions of 640 the predictions, which count all
/// 640, lie from 2 % below to 36 % above, but for one (d12, 8 rows, clusters of 4: 77 %). Within a step the cluster
/// that they choose was best or within 1 % of it. Blocks of a cluster take turns where not all are resident, and that
/// overlaps with the keys' way from memory.
static double predict(const LaunchToPredict &l) {
  constexpr double blockUs = 2.0, roundUs = 1.4;
  const Values &v = l.values;
  const uint64_t cluster = v.count("cluster"), heads = v.count("n") * v.count("kv_heads"),
                 keys = std::min(v.count("window") + 1, v.count("ring"));
  const uint64_t warps = l.shape.threads / 32, tiles = ceilDiv(keys, StepLayout::tileSlots);
  const uint64_t resident = std::clamp<uint64_t>((l.device.blockShared + 1024) / (l.shape.sharedBytes + 1024), 1, 4);
  const uint64_t turns = ceilDiv(heads * cluster, l.device.sms * resident),
                 rounds = ceilDiv(ceilDiv(tiles, cluster), warps);
  return l.roofline.launchUs +
         std::hypot(std::max(l.roofline.bytesUs, l.roofline.flopsUs),
                    static_cast<double>(turns) * (blockUs + static_cast<double>(rounds) * roundUs));
}

const Engine stepCluster = {.name = "cluster",
                            .header = "attention/step_cluster.cuh",
                            .body = "stepCluster",
                            .params = {{"cluster"}},
                            .constraint = constraint,
                            .shape = shape,
                            .waitsItself = true,
                            .tensorCores = true,
                            .fallback = fallback,
                            .candidates = candidates,
                            .predict = predict};

} // namespace kernels
