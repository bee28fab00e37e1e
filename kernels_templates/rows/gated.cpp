// Rows to which others are added through a gate: smear (the token before) and value_gate (a token's own values).
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string smearConstraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static std::string valueGateConstraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "heads", 1, maxExtent), requireRange(p, "D", 1, maxExtent),
                  requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static LaunchShape smearShape(const Values &v) { return warpsFor(v.count("n")); }
static LaunchShape valueGateShape(const Values &v) { return warpsFor(elementCount(v.count("n"), v.count("heads"))); }

static Cost smearCost(const Values &v) {
  const uint64_t n = v.count("n"), C = v.count("C"), channels = v.count("channels");
  return {(3 * n * C + channels) * sizeOf(v.type("T")) + 4, n * 2 * (C + channels)};
}

static Cost valueGateCost(const Values &v) {
  const uint64_t n = v.count("n"), heads = v.count("heads"), D = v.count("D"), channels = v.count("channels");
  return {(3 * n * heads * D + n * channels + heads * channels) * sizeOf(v.type("T")) + 4 * n,
          2 * n * heads * (D + channels)};
}

static double tolerance(const Values &p) { return roundingOf(p.type("T")) + reductionOf(p["channels"]); }

void addGated(Catalogue &catalogue) {
  static const Engine smear = {.name = "simt", .header = "rows/gated.cuh", .body = "smearRows", .shape = smearShape};
  static const Engine valueGate = {
      .name = "simt", .header = "rows/gated.cuh", .body = "valueGateRows", .shape = valueGateShape};
  catalogue.add({.name = "smear",
                 .params = {{"T", true}, {"C"}, {"channels"}},
                 .args = {input("u", "T", "n C"), input("prev", "T", "n C"), constant("gate", "T", "channels"),
                          constant("lambda", "f32", "1"), output("y", "T", "n C"), integer("n")},
                 .constraint = smearConstraint,
                 .cost = smearCost,
                 .tolerance = tolerance},
                {&smear});
  catalogue.add({.name = "value_gate",
                 .params = {{"T", true}, {"heads"}, {"D"}, {"C"}, {"channels"}},
                 .args = {input("v", "T", "n heads D"), input("h", "T", "n C"), index("tokens", "n"),
                          constant("table", "T", "vocab heads D"), constant("gate", "T", "heads channels"),
                          output("y", "T", "n heads D"), real("range"), integer("n")},
                 .constraint = valueGateConstraint,
                 .cost = valueGateCost,
                 .tolerance = tolerance},
                {&valueGate});
}

} // namespace kernels
