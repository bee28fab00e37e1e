#include "kernels_templates/common/wgemm.h"

namespace kernels::wgemm {

static std::string constraint(const Params &p) {
  const std::string violation =
      firstOf({requireFloat(p, "O"), requireRange(p, "norm", 0, 1), requireRange(p, "relu2", 0, 1)});
  return violation.empty() ? wgemmConstraint(p, p["norm"] != 0) : violation;
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  return wgemmShape(p, extent(scalars[0]), p["norm"] != 0);
}

static std::vector<TensorMap> maps(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  return wgemmMaps(p, extent(scalars[0]));
}

// It computes what gemm does; only the way there is another.
static Cost cost(const Params &p, std::span<const Scalar> scalars) { return gemm::family.cost(p, scalars); }

static double tolerance(const Params &p) { return gemm::family.tolerance(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return gemm::family.extents(p, scalars, limits);
}

const Family family = {
    "wgemm",
    {{"T", true},
     {"O", true},
     {"K"},
     {"N"},
     {"tile_m"},
     {"tile_n"},
     {"stages"},
     {"split"},
     {"share"},
     {"blocks"},
     {"norm"},
     {"relu2"}},
    {{"x", ArgKind::In, "T", true}, {"w", ArgKind::In, "T", true}, {"y", ArgKind::Out, "O"}, {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents,
    true,
    true,
    maps,
    "sm_90a"};

} // namespace kernels::wgemm
