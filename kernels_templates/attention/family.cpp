#include "kernels_templates/attention_decode/shape.h"

namespace kernels::attention {

// D: the merge of the key groups needs up to 256 / lanes * (D + 2) floats of static shared memory, of at most 48 KB.
static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "kv_heads", 1, maxExtent),
                  requireRange(p, "heads", 1, maxExtent),
                  requireMultiple(p, "heads", std::max<int64_t>(1, p["kv_heads"]), "kv_heads"),
                  requireRange(p, "D", 1, 512), requireRange(p, "ring", 1, maxExtent)});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 256; // one block per token and query head
  shape.grid[0] = blocksFor(extent(scalars[2]) * p["heads"], 1);
  return shape;
}

// Positions and rows are unknown here, so every window counts as full. Below 128 tokens each is taken to be a row of
// its own (decode), which reads its own window; from there on (a prefill bucket) all are taken to be one row, which
// reads the ring once.
static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[2]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  uint64_t older = std::min<uint64_t>(extent(scalars[0]), p["ring"]);
  uint64_t rows = n < 128 ? n : 1;
  return {(2 * n * heads + 2 * n * kvHeads + 2 * rows * kvHeads * older) * D * sizeOf(p.type("T")) + 12 * n,
          4 * n * heads * D * (older + 1)};
}

// Scores err by their dot product's order, which the exponential makes relative; the weighted mean adds the order of
// the keys. Scores of QK-normed heads are below D in magnitude, hence D twice; the sums over keys are of positive
// weights, merged from at most `groups` partial ones of ring / groups keys.
static double tolerance(const Params &p) {
  return roundingOf(p.type("T")) + 2 * reductionOf(p["D"]) + reductionOf(std::min<int64_t>(p["ring"], 4096));
}

/// Single tokens come here only if attention_decode serves them with no number of blocks. P changes nothing.
static std::string fallback(const Params &p) {
  if (p.type("T") != DType::BF16)
    return "";
  std::string violated;
  for (int64_t cluster : {8, 4, 2, 1}) {
    Params single = p;
    single.values.insert(single.values.end(), {{"P", static_cast<int64_t>(DType::BF16)}, {"cluster", cluster}});
    violated = attention_decode::constraint(single);
    if (violated.empty())
      return "";
  }
  return "attention_decode does not serve it: " + violated;
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[2]);
  uint64_t queries = elementCount(n, p["heads"], p["D"]), keys = elementCount(n, p["kv_heads"], p["D"]);
  uint64_t ring = elementCount(limits.rows, 2, p["kv_heads"], p["ring"], p["D"]);
  return {queries, keys, keys, ring, n, n, limits.rows, queries};
}

const Family family = {"attention",
                       {{"T", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}},
                       {{"q", ArgKind::In, "T"},
                        {"k", ArgKind::In, "T"},
                        {"v", ArgKind::In, "T"},
                        {"kv", ArgKind::In, "T"},
                        {"rows", ArgKind::In, "i32"},
                        {"positions", ArgKind::In, "i32"},
                        {"starts", ArgKind::In, "i32"},
                        {"y", ArgKind::Out, "T"},
                        {"window", ArgKind::I32},
                        {"scale", ArgKind::F32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       false,
                       false,
                       nullptr,
                       {},
                       fallback};

} // namespace kernels::attention
