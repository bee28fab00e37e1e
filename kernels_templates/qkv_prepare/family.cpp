#include "kernels_templates/qkv_prepare/shape.h"

namespace kernels::qkv_prepare {

static std::vector<uint64_t> allExtents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return extents(p, scalars, limits);
}

const Family family = {"qkv_prepare",
                       {{"T", true}, {"P", true}, {"heads"}, {"kv_heads"}, {"D"}},
                       {{"qkv", ArgKind::In, "T"},
                        {"table", ArgKind::In, "P"},
                        {"positions", ArgKind::In, "i32"},
                        {"q", ArgKind::Out, "T"},
                        {"k", ArgKind::Out, "T"},
                        {"v", ArgKind::Out, "T"},
                        {"mult", ArgKind::F32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       allExtents};

} // namespace kernels::qkv_prepare
