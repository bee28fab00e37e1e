#include "kernels_templates/attention_decode/shape.h"

namespace kernels::attention_decode_ve {

static std::string constraint(const Params &p) {
  return firstOf(
      {attention_decode::constraint(p), requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[3]), kvHeads = p["kv_heads"], D = p["D"], C = p["C"], channels = p["channels"];
  Cost cost = attention_decode::cost(p, scalars);
  cost.bytes += (n * C + n * kvHeads * D + kvHeads * channels) * sizeOf(p.type("T")) + 4 * n;
  cost.flops += n * kvHeads * 2 * (C + channels + D);
  return cost;
}

static double tolerance(const Params &p) {
  return attention_decode::tolerance(p) + reductionOf(p["C"]) + reductionOf(p["channels"]);
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[3]), kvHeads = p["kv_heads"];
  return attention_decode::extents(
      p, scalars, limits,
      {elementCount(n, p["C"]), n, elementCount(limits.vocab, kvHeads, p["D"]), elementCount(kvHeads, p["channels"])});
}

const Family family = {
    "attention_decode_ve",
    {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"cluster"}, {"C"}, {"channels"}},
    {{"qkv", ArgKind::In, "T"},
     {"table", ArgKind::In, "P"},
     {"rows", ArgKind::In, "i32"},
     {"positions", ArgKind::In, "i32"},
     {"kv", ArgKind::InOut, "T"},
     {"x", ArgKind::In, "T"},
     {"tokens", ArgKind::In, "i32"},
     {"embeds", ArgKind::In, "T"},
     {"gate", ArgKind::In, "T"},
     {"y", ArgKind::Out, "T"},
     {"mult", ArgKind::F32},
     {"window", ArgKind::I32},
     {"scale", ArgKind::F32},
     {"n", ArgKind::I32},
     {"range", ArgKind::F32}},
    constraint,
    attention_decode::shape,
    cost,
    tolerance,
    extents,
    true,
    true,
    nullptr,
    {},
    attention_decode::fallback};

} // namespace kernels::attention_decode_ve
