// The meanings of what comes between a layer's products and the attention of a chunk, and their engine.
#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/prepare_layout.h"

namespace kernels {

/// kv_heads: as many gates as 16 KiB of shared memory hold. D: rotated halves are held in registers.
template <bool gate> static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireRange(p, "heads", 1, 4096),
                  requireRange(p, "kv_heads", 1, 4096), requireRange(p, "D", 2, 512), requireMultiple(p, "D", 2, "2"),
                  gate ? requireGate(p) : ""});
}

template <bool gate> static Cost cost(const Values &v) {
  const uint64_t n = v.count("n"), kvHeads = v.count("kv_heads"), rotated = v.count("heads") + kvHeads,
                 D = v.count("D");
  const Cost more = gate ? gateCost(v, 1) : Cost();
  return {.bytes = n * (2 * (rotated + kvHeads) * D * sizeOf(v.type("T")) + D * sizeOf(v.type("P")) + 4) + more.bytes,
          .flops = n * rotated * 6 * D + more.flops};
}

template <bool gate> static double tolerance(const Values &p) {
  return roundingOf(p.type("T")) + reductionOf(p["D"]) + (gate ? gateTolerance(p) : 0);
}

/// A block per token.
static LaunchShape shape(const Values &v) {
  return blockEach(v.count("n"), PrepareLayout::threads,
                   static_cast<uint32_t>(PrepareLayout::sharedBytes(static_cast<int>(v["kv_heads"]), hasGate(v))));
}

static const Engine prepareSimt = {
    .name = "simt", .header = "attention/prepare.cuh", .body = "prepareQkv", .shape = shape};

template <bool gate> static Meaning prepareQkv() {
  Meaning meaning = {
      .name = gate ? "prepare_qkv_gate" : "prepare_qkv",
      .params = {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}},
      .args = {input("qkv", "T", "n heads+2*kv_heads D"), constant("table", "P", "positions D"),
               index("positions", "n"), output("q", "T", "n heads D"), output("k", "T", "n kv_heads D"),
               output("v", "T", "n kv_heads D"), real("mult"), integer("n")},
      .traits = {gate ? "ValueGate" : "NoGate"},
      .constraint = constraint<gate>,
      .cost = cost<gate>,
      .tolerance = tolerance<gate>,
  };
  if (gate)
    addGate(meaning);
  return meaning;
}

void addPrepare(Catalogue &catalogue) {
  catalogue.add(prepareQkv<false>(), {&prepareSimt});
  catalogue.add(prepareQkv<true>(), {&prepareSimt});
}

} // namespace kernels
