#include "kernels_templates/attention_decode/shape.h"

namespace kernels::attention_decode {

static std::vector<uint64_t> allExtents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return extents(p, scalars, limits);
}

const Family family = {"attention_decode",
                       {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"cluster"}},
                       {{"qkv", ArgKind::In, "T"},
                        {"table", ArgKind::In, "P"},
                        {"rows", ArgKind::In, "i32"},
                        {"positions", ArgKind::In, "i32"},
                        {"kv", ArgKind::InOut, "T"},
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
                       true,
                       nullptr,
                       {},
                       fallback};

} // namespace kernels::attention_decode
