#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/step_cluster_layout.h"

namespace kernels {

/// The most shared memory of a block on every target (sm_86: 99 KB), less a part for barriers.
constexpr uint64_t mostShared = 96 << 10;

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

const Engine stepCluster = {.name = "cluster",
                            .header = "attention/step_cluster.cuh",
                            .body = "stepCluster",
                            .params = {{"cluster"}},
                            .constraint = constraint,
                            .shape = shape,
                            .waitsItself = true,
                            .tensorCores = true,
                            .fallback = fallback};

} // namespace kernels
