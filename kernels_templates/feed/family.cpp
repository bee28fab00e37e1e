#include "kernels_templates/common/describe.h"
#include "kernels_templates/common/generation.h"

namespace kernels::feed {

using namespace generation;

static std::string constraint(const Params &p) { return requireRange(p, "max_seq", 1, maxExtent); }

static LaunchShape shape(const Params &, std::span<const Scalar>) {
  LaunchShape shape;
  shape.block[0] = 256;
  return shape;
}

static Cost cost(const Params &, std::span<const Scalar> scalars) {
  return {4 * (6 * extent(scalars[0]) + 8 * extent(scalars[1]) + 14 * extent(scalars[2]) + maxStopIds), 0};
}

static double tolerance(const Params &) { return 0; } // integers

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  const uint64_t slots = extent(scalars[0]), rows = extent(scalars[1]), batch = extent(scalars[2]),
                 used = std::min(rows, batch), positions = p["max_seq"];
  std::vector<uint64_t> extents = {used * positions, requestWords(used),        rows, progressWords(used),
                                   goWords,          ringWords(used, positions)};
  extents.insert(extents.end(), 4, slots);
  extents.insert(extents.end(), 4, rows);
  extents.insert(extents.end(), 8, batch);
  return extents;
}

const Family family = {"feed",
                       {{"max_seq"}},
                       {{"prompt", ArgKind::In, "i32"},
                        {"request", ArgKind::In, "i32"},
                        {"next", ArgKind::In, "i32"},
                        {"progress", ArgKind::InOut, "i32"},
                        {"go", ArgKind::Out, "u32"},
                        {"ring", ArgKind::InOut, "i32"},
                        {"tokens", ArgKind::Out, "i32"},
                        {"prev", ArgKind::Out, "i32"},
                        {"rows", ArgKind::Out, "i32"},
                        {"positions", ArgKind::Out, "i32"},
                        {"starts", ArgKind::Out, "i32"},
                        {"ends", ArgKind::Out, "i32"},
                        {"last", ArgKind::Out, "i32"},
                        {"steps", ArgKind::Out, "i32"},
                        {"step_tokens", ArgKind::InOut, "i32"},
                        {"step_prev", ArgKind::InOut, "i32"},
                        {"step_rows", ArgKind::InOut, "i32"},
                        {"step_positions", ArgKind::InOut, "i32"},
                        {"step_starts", ArgKind::InOut, "i32"},
                        {"step_ends", ArgKind::InOut, "i32"},
                        {"step_last", ArgKind::InOut, "i32"},
                        {"step_steps", ArgKind::InOut, "i32"},
                        {"slots", ArgKind::I32},
                        {"chunk_rows", ArgKind::I32},
                        {"batch", ArgKind::I32},
                        {"accept", ArgKind::I32},
                        {"more", ArgKind::Condition},
                        {"active", ArgKind::Condition}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::feed
