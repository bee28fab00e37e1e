// rms_norm
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "width", 1, maxExtent)});
}

static LaunchShape shape(const Values &v) { return warpsFor(v.count("n")); }

static Cost cost(const Values &v) {
  const uint64_t elements = v.count("n") * v.count("width");
  return {2 * elements * sizeOf(v.type("T")), 3 * elements}; // square, add, scale
}

// The reduction's terms are all positive and the root halves its relative error.
static double tolerance(const Values &p) { return roundingOf(p.type("T")) + reductionOf(p["width"]) / 2; }

void addNorm(Catalogue &catalogue) {
  static const Engine engine = {.name = "simt", .header = "rows/norm.cuh", .body = "normRows", .shape = shape};
  catalogue.add({.name = "rms_norm",
                 .params = {{"T", true}, {"width"}},
                 .args = {input("x", "T", "n width"), output("y", "T", "n width"), integer("n")},
                 .constraint = constraint,
                 .cost = cost,
                 .tolerance = tolerance},
                {&engine});
}

} // namespace kernels
