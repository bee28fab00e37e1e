// The meanings of attention of one token per row, from the products of its layer to the mean of values.
#include "kernels_templates/attention/attention.h"

namespace kernels {

template <bool gate> static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireHeads(p), requireRange(p, "D", 2, 512),
                  requireMultiple(p, "D", 2, "2"), requireRange(p, "ring", 1, maxExtent), gate ? requireGate(p) : ""});
}

/// Every window counts as full: positions are unknown here.
template <bool gate> static Cost cost(const Values &v) {
  const uint64_t n = v.count("n"), heads = v.count("heads"), kvHeads = v.count("kv_heads"), D = v.count("D");
  const uint64_t keys = std::min(v.count("window") + 1, v.count("ring")), size = sizeOf(v.type("T"));
  const Cost more = gate ? gateCost(v, kvHeads) : Cost();
  return {.bytes = n * ((2 * heads + 4 * kvHeads) * D * size + 2 * kvHeads * (keys - 1) * D * size +
                        D * sizeOf(v.type("P")) + 8) +
                   more.bytes,
          .flops = n * heads * D * (4 * keys + 6) + more.flops};
}

/// As attention_chunk's; in bf16 a new key may also round to the neighbour of the other side's.
template <bool gate> static double tolerance(const Values &p) {
  return 2 * roundingOf(p.type("T")) + 2 * reductionOf(p["D"]) + reductionOf(std::min<int64_t>(p["ring"], 4096)) +
         (gate ? gateTolerance(p) : 0);
}

template <bool gate> static Meaning attentionStep() {
  Meaning meaning = {
      .name = gate ? "attention_step_gate" : "attention_step",
      .params = {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}},
      .args = {input("qkv", "T", "n heads+2*kv_heads D"), constant("table", "P", "positions D"), index("rows", "n"),
               index("positions", "n"), ringArg(Access::InOut), output("y", "T", "n heads D"), real("mult"),
               integer("window"), real("scale"), integer("n")},
      .traits = {gate ? "ValueGate" : "NoGate"},
      .constraint = constraint<gate>,
      .cost = cost<gate>,
      .tolerance = tolerance<gate>,
  };
  if (gate)
    addGate(meaning);
  return meaning;
}

std::string stepRefusal(const Values &given) {
  Values p = given;
  if (!p.find("P"))
    p.set("P", static_cast<int64_t>(DType::BF16));
  std::string violated = constraint<false>(p);
  if (!violated.empty())
    return violated;
  for (int64_t cluster : {8, 4, 2, 1}) {
    p.set("cluster", cluster);
    violated = stepCluster.constraint(p);
    if (violated.empty())
      return "";
  }
  return violated;
}

void addStep(Catalogue &catalogue) {
  catalogue.add(attentionStep<false>(), {&stepCluster, &stepSpread});
  catalogue.add(attentionStep<true>(), {&stepCluster, &stepSpread});
}

} // namespace kernels
