// rope
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireRange(p, "heads", 1, maxExtent),
                  requireRange(p, "D", 2, maxExtent), requireMultiple(p, "D", 2, "2")});
}

static LaunchShape shape(const Values &v) {
  const int64_t half = v["D"] / 2;
  const int lanes = std::min(vectorWidth(half, sizeOf(v.type("T"))), vectorWidth(half, sizeOf(v.type("P"))));
  return threadsFor(elementCount(v.count("n"), v.count("heads"), half / lanes));
}

static Cost cost(const Values &v) {
  const uint64_t n = v.count("n"), D = v.count("D"), elements = n * v.count("heads") * D;
  return {2 * elements * sizeOf(v.type("T")) + n * (D * sizeOf(v.type("P")) + 4), 3 * elements};
}

static double tolerance(const Values &p) { return roundingOf(p.type("T")); }

void addRope(Catalogue &catalogue) {
  static const Engine engine = {.name = "simt", .header = "rows/rope.cuh", .body = "ropeRows", .shape = shape};
  catalogue.add({.name = "rope",
                 .params = {{"T", true}, {"P", true}, {"heads"}, {"D"}},
                 .args = {input("x", "T", "n heads D"), constant("table", "P", "positions D"), index("positions", "n"),
                          output("y", "T", "n heads D"), integer("n")},
                 .constraint = constraint,
                 .cost = cost,
                 .tolerance = tolerance},
                {&engine});
}

} // namespace kernels
