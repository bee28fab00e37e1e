#include "kernels_templates/attention_decode/shape.h"

namespace kernels::attention_decode_ve {

static std::string constraint(const Params &p) {
  return firstOf({attention_decode::constraint(p), attention_decode::gateConstraint(p)});
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  return attention_decode::withGate(attention_decode::cost(p, scalars), p, scalars);
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return attention_decode::extents(p, scalars, limits, attention_decode::gateExtents(p, scalars, limits));
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
    attention_decode::gateTolerance,
    extents,
    true,
    true,
    nullptr,
    {},
    attention_decode::fallback};

} // namespace kernels::attention_decode_ve
