// What is done with rows of logits, in f32: softcap, nll.
#include "kernels_templates/rows/logits_layout.h"
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string softcapConstraint(const Values &p) {
  return firstOf({requireRange(p, "Vp", 1, maxExtent), requireRange(p, "V", 1, p["Vp"])});
}
static std::string nllConstraint(const Values &p) { return requireRange(p, "V", 1, maxExtent); }

static LaunchShape softcapShape(const Values &v) {
  const int lanes = std::min(vectorWidth(v["V"], 4), vectorWidth(v["Vp"], 4));
  return threadsFor(elementCount(v.count("n"), v["V"] / lanes));
}
static LaunchShape nllShape(const Values &v) {
  return blockEach(v.count("n"), NllLayout::threads, NllLayout::sharedBytes);
}

static Cost softcapCost(const Values &v) {
  const uint64_t elements = v.count("n") * v.count("V");
  return {8 * elements, 3 * elements}; // divide, tanh, multiply
}
static Cost nllCost(const Values &v) {
  const uint64_t n = v.count("n"), V = v.count("V");
  return {n * (4 * V + 8), 3 * n * V}; // subtract, exp, add
}

static double softcapTolerance(const Values &) { return roundingOf(DType::F32); }
// The sum's terms are all positive: its relative error becomes an absolute one of the logarithm.
static double nllTolerance(const Values &p) { return roundingOf(DType::F32) + reductionOf(p["V"]); }

/// A target picks a column below the vocabulary, which in the last row may lie past a narrower V.
static uint64_t nllLogits(const Values &v, const Limits &limits) {
  const uint64_t n = v.count("n"), V = v.count("V");
  return n == 0 ? 0 : elementCount(n - 1, V) + std::max(V, limits.vocab);
}

void addLogits(Catalogue &catalogue) {
  static const Engine softcap = {
      .name = "simt", .header = "rows/logits.cuh", .body = "softcapRows", .shape = softcapShape};
  static const Engine nll = {.name = "simt", .header = "rows/logits.cuh", .body = "nllRows", .shape = nllShape};
  catalogue.add({.name = "softcap",
                 .params = {{"V"}, {"Vp"}},
                 .args = {input("z", "f32", "n Vp"), output("y", "f32", "n V"), real("cap"), integer("n")},
                 .constraint = softcapConstraint,
                 .cost = softcapCost,
                 .tolerance = softcapTolerance},
                {&softcap});
  Arg logits = input("logits", "f32", "");
  logits.elements = nllLogits;
  catalogue.add({.name = "nll",
                 .params = {{"V"}},
                 .args = {logits, index("targets", "n"), output("y", "f32", "n"), integer("n")},
                 .constraint = nllConstraint,
                 .cost = nllCost,
                 .tolerance = nllTolerance},
                {&nll});
}

} // namespace kernels
