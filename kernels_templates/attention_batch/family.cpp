#include "kernels_templates/attention_batch/shape.h"

namespace kernels::attention_batch {

static std::vector<uint64_t> allExtents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return extents(p, scalars, limits);
}

const Family family = {"attention_batch",
                       {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"chunk"}, {"blocks"}},
                       {{"qkv", ArgKind::In, "T"},
                        {"table", ArgKind::In, "P"},
                        {"rows", ArgKind::In, "i32"},
                        {"positions", ArgKind::In, "i32"},
                        {"kv", ArgKind::InOut, "T"},
                        {"counters", ArgKind::InOut, "u32"},
                        {"partials", ArgKind::Scratch, "f32"},
                        {"y", ArgKind::Out, "T"},
                        {"mult", ArgKind::F32},
                        {"window", ArgKind::I32},
                        {"scale", ArgKind::F32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       attention_decode::tolerance,
                       allExtents,
                       true,
                       true};

} // namespace kernels::attention_batch
