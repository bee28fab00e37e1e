#include "kernels_templates/qkv_prepare/shape.h"

namespace kernels::qkv_prepare_ve {

static std::string constraint(const Params &p) {
  return firstOf(
      {qkv_prepare::constraint(p), requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[1]), kvHeads = p["kv_heads"], D = p["D"], C = p["C"], channels = p["channels"];
  Cost cost = qkv_prepare::cost(p, scalars);
  cost.bytes += (n * C + n * kvHeads * D + kvHeads * channels) * sizeOf(p.type("T")) + 4 * n;
  cost.flops += n * 2 * (C + kvHeads * (channels + D));
  return cost;
}

static double tolerance(const Params &p) {
  return qkv_prepare::tolerance(p) + reductionOf(p["C"]) + reductionOf(p["channels"]);
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[1]), kvHeads = p["kv_heads"];
  return qkv_prepare::extents(
      p, scalars, limits,
      {elementCount(n, p["C"]), n, elementCount(limits.vocab, kvHeads, p["D"]), elementCount(kvHeads, p["channels"])});
}

const Family family = {"qkv_prepare_ve",
                       {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"C"}, {"channels"}},
                       {{"qkv", ArgKind::In, "T"},
                        {"table", ArgKind::In, "P"},
                        {"positions", ArgKind::In, "i32"},
                        {"x", ArgKind::In, "T"},
                        {"tokens", ArgKind::In, "i32"},
                        {"embeds", ArgKind::In, "T"},
                        {"gate", ArgKind::In, "T"},
                        {"q", ArgKind::Out, "T"},
                        {"k", ArgKind::Out, "T"},
                        {"v", ArgKind::Out, "T"},
                        {"mult", ArgKind::F32},
                        {"n", ArgKind::I32},
                        {"range", ArgKind::F32}},
                       constraint,
                       qkv_prepare::shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::qkv_prepare_ve
