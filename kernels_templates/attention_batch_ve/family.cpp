#include "kernels_templates/attention_batch/shape.h"

namespace kernels::attention_batch_ve {

static std::string constraint(const Params &p) {
  return firstOf({attention_batch::constraint(p), attention_decode::gateConstraint(p)});
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  return attention_decode::withGate(attention_batch::cost(p, scalars), p, scalars);
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return attention_batch::extents(p, scalars, limits, attention_decode::gateExtents(p, scalars, limits));
}

const Family family = {
    "attention_batch_ve",
    {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"chunk"}, {"blocks"}, {"C"}, {"channels"}},
    {{"qkv", ArgKind::In, "T"},
     {"table", ArgKind::In, "P"},
     {"rows", ArgKind::In, "i32"},
     {"positions", ArgKind::In, "i32"},
     {"kv", ArgKind::InOut, "T"},
     {"x", ArgKind::In, "T"},
     {"tokens", ArgKind::In, "i32"},
     {"embeds", ArgKind::In, "T"},
     {"gate", ArgKind::In, "T"},
     {"counters", ArgKind::InOut, "u32"},
     {"partials", ArgKind::Scratch, "f32"},
     {"y", ArgKind::Out, "T"},
     {"mult", ArgKind::F32},
     {"window", ArgKind::I32},
     {"scale", ArgKind::F32},
     {"n", ArgKind::I32},
     {"range", ArgKind::F32}},
    constraint,
    attention_batch::shape,
    cost,
    attention_decode::gateTolerance,
    extents,
    true,
    true};

} // namespace kernels::attention_batch_ve
