#include "kernels_templates/common/describe.h"
#include "kernels_templates/common/generation.h"

namespace kernels::advance {

using namespace generation;

static std::string constraint(const Params &p) { return requireRange(p, "max_seq", 1, maxExtent); }

static LaunchShape shape(const Params &, std::span<const Scalar>) {
  LaunchShape shape;
  shape.block[0] = 128;
  return shape;
}

static Cost cost(const Params &, std::span<const Scalar> scalars) {
  return {4 * (18 * extent(scalars[0]) + maxStopIds), 0};
}

static double tolerance(const Params &) { return 0; } // integers

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  const uint64_t batch = extent(scalars[0]);
  std::vector<uint64_t> extents = {requestWords(batch), batch, progressWords(batch), goWords,
                                   ringWords(batch, p["max_seq"])};
  extents.insert(extents.end(), 8, batch);
  return extents;
}

const Family family = {"advance",
                       {{"max_seq"}},
                       {{"request", ArgKind::In, "i32"},
                        {"next", ArgKind::In, "i32"},
                        {"progress", ArgKind::InOut, "i32"},
                        {"go", ArgKind::InOut, "u32"},
                        {"ring", ArgKind::InOut, "i32"},
                        {"tokens", ArgKind::InOut, "i32"},
                        {"prev", ArgKind::InOut, "i32"},
                        {"rows", ArgKind::InOut, "i32"},
                        {"positions", ArgKind::InOut, "i32"},
                        {"starts", ArgKind::InOut, "i32"},
                        {"ends", ArgKind::InOut, "i32"},
                        {"last", ArgKind::InOut, "i32"},
                        {"steps", ArgKind::InOut, "i32"},
                        {"batch", ArgKind::I32},
                        {"active", ArgKind::Condition}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       true};

} // namespace kernels::advance
