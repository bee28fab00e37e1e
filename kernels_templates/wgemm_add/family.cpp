#include "kernels_templates/common/wgemm.h"

namespace kernels::wgemm_add {

static std::string constraint(const Params &p) { return wgemmConstraint(p, false); }

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  return wgemmShape(p, extent(scalars[0]), false);
}

static std::vector<TensorMap> maps(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  return wgemmMaps(p, extent(scalars[0]));
}

// It computes what gemm_add does; only the way there is another.
static Cost cost(const Params &p, std::span<const Scalar> scalars) { return gemm_add::family.cost(p, scalars); }

static double tolerance(const Params &p) { return gemm_add::family.tolerance(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return gemm_add::family.extents(p, scalars, limits);
}

const Family family = {
    "wgemm_add",
    {{"T", true}, {"K"}, {"N"}, {"tile_m"}, {"tile_n"}, {"stages"}, {"split"}, {"share"}, {"blocks"}},
    {{"x", ArgKind::In, "T", true},
     {"w", ArgKind::In, "T", true},
     {"r", ArgKind::In, "T"},
     {"y", ArgKind::Out, "T"},
     {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents,
    true,
    true,
    maps,
    "sm_90a"};

} // namespace kernels::wgemm_add
