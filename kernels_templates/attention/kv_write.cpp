#include "kernels_templates/attention/attention.h"

namespace kernels {

static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "kv_heads", 1, maxExtent), requireRange(p, "D", 1, maxExtent),
                  requireRange(p, "ring", 1, maxExtent)});
}

static Cost cost(const Values &v) {
  return {.bytes = v.count("n") * (4 * v.count("kv_heads") * v.count("D") * sizeOf(v.type("T")) + 12)}; // read, written
}

static double tolerance(const Values &) { return 0; } // a copy

static LaunchShape shape(const Values &v) {
  return threadsFor(v.count("n") * v.count("kv_heads") *
                    (v.count("D") / static_cast<uint64_t>(vectorWidth(v["D"], sizeOf(v.type("T"))))));
}

static const Engine kvWriteSimt = {
    .name = "simt", .header = "attention/kv_write.cuh", .body = "kvWrite", .shape = shape};

void addKvWrite(Catalogue &catalogue) {
  catalogue.add({.name = "kv_write",
                 .params = {{"T", true}, {"kv_heads"}, {"D"}, {"ring"}},
                 .args = {input("k", "T", "n kv_heads D"), input("v", "T", "n kv_heads D"), index("rows", "n"),
                          index("positions", "n"), index("ends", "rows"), ringArg(Access::InOut), integer("n")},
                 .constraint = constraint,
                 .cost = cost,
                 .tolerance = tolerance},
                {&kvWriteSimt});
}

} // namespace kernels
