#include "kernels_templates/attention_decode_qkv/shape.h"

namespace kernels::attention_decode_qkv {

static std::vector<uint64_t> allExtents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return extents(p, scalars, limits, {elementCount(extent(scalars[3]), p["C"])});
}

const Family family = {
    "attention_decode_qkv",
    {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"cluster"}, {"stages"}, {"C"}, {"norm"}},
    {{"w", ArgKind::In, "T"},
     {"table", ArgKind::In, "P"},
     {"rows", ArgKind::In, "i32"},
     {"positions", ArgKind::In, "i32"},
     {"kv", ArgKind::InOut, "T"},
     {"x", ArgKind::In, "T"},
     {"y", ArgKind::Out, "T"},
     {"mult", ArgKind::F32},
     {"window", ArgKind::I32},
     {"scale", ArgKind::F32},
     {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    allExtents,
    true,
    true};

} // namespace kernels::attention_decode_qkv
