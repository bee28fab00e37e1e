#include "kernels_templates/attention_decode_qkv/shape.h"

namespace kernels::attention_decode_qkv_ve {

static std::string constraint(const Params &p) {
  return firstOf({attention_decode_qkv::constraint(p), attention_decode::gateConstraint(p)});
}

/// The gate reads x, as the product does.
static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  Cost cost = attention_decode::withGate(attention_decode_qkv::cost(p, scalars), p, scalars);
  cost.bytes -= elementCount(extent(scalars[3]), p["C"]) * sizeOf(p.type("T"));
  return cost;
}

static double tolerance(const Params &p) { return attention_decode::gateTolerance(p) + 2 * reductionOf(p["C"]); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return attention_decode_qkv::extents(p, scalars, limits, attention_decode::gateExtents(p, scalars, limits));
}

const Family family = {"attention_decode_qkv_ve",
                       {{"T", true},
                        {"P", true},
                        {"heads"},
                        {"kv_heads"},
                        {"D"},
                        {"ring"},
                        {"cluster"},
                        {"stages"},
                        {"C"},
                        {"norm"},
                        {"channels"}},
                       {{"w", ArgKind::In, "T"},
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
                       attention_decode_qkv::shape,
                       cost,
                       tolerance,
                       extents,
                       true,
                       true};

} // namespace kernels::attention_decode_qkv_ve
