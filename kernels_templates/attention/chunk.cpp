// The meaning of a chunk of tokens' attention, and its engine on ordinary cores.
#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/chunk_simt_layout.h"

namespace kernels {

static std::string constraint(const Values &p) {
  return firstOf(
      {requireFloat(p, "T"), requireHeads(p), requireRange(p, "D", 1, 512), requireRange(p, "ring", 1, maxExtent)});
}

// Positions and rows are unknown here, so every window counts as full. Below 128 tokens each is taken to be a row of
// its own (a step), which reads its own window; from there on (a prefill bucket) all are taken to be one row, which
// reads the ring once.
static Cost cost(const Values &v) {
  const uint64_t n = v.count("n"), heads = v.count("heads"), kvHeads = v.count("kv_heads"), D = v.count("D");
  const uint64_t older = std::min(v.count("window"), v.count("ring")), rows = n < 128 ? n : 1;
  return {.bytes = (2 * n * heads + 2 * n * kvHeads + 2 * rows * kvHeads * older) * D * sizeOf(v.type("T")) + 12 * n,
          .flops = 4 * n * heads * D * (older + 1)};
}

// Scores err by their dot product's order, which the exponential makes relative; the weighted mean adds the order of
// the keys. Scores of QK-normed heads are below D in magnitude, hence D twice; the sums over keys are of positive
// weights, merged from at most `groups` partial ones of ring / groups keys.
static double tolerance(const Values &p) {
  return roundingOf(p.type("T")) + 2 * reductionOf(p["D"]) + reductionOf(std::min<int64_t>(p["ring"], 4096));
}

/// A block per token and query head.
static LaunchShape shape(const Values &v) {
  const ChunkSimtLayout layout(static_cast<int>(sizeOf(v.type("T"))), static_cast<int>(v["D"]));
  return blockEach(elementCount(v.count("n"), v.count("heads")), ChunkSimtLayout::threads,
                   static_cast<uint32_t>(layout.sharedBytes));
}

/// Single tokens come here only if no engine of attention_step serves them.
static std::string fallback(const Values &p) {
  if (p.type("T") != DType::BF16)
    return "";
  const std::string refusal = stepRefusal(p);
  return refusal.empty() ? "" : "attention_step does not serve it: " + refusal;
}

double chunkTilesUs(const LaunchToPredict &l) {
  constexpr double fillUs = 1.0; // until the first operands are there and after the last sums: a trip to memory each
  const Values &v = l.values;
  const uint64_t queries = v.count("tile_q"), keys = v.count("tile_k"), dim = v.count("D"), heads = v.count("heads"),
                 n = v.count("n"), sms = l.device.sms;
  uint64_t total = 0, longest = 0;
  for (uint64_t end = queries; end < n + queries; end += queries) {
    const uint64_t steps = ceilDiv(std::min(end, v.count("window") + queries), keys);
    total += steps * heads;
    longest = std::max(longest, steps);
  }
  const uint64_t room = sms * residentBlocks(l.shape), items = ceilDiv(n, queries) * heads;
  const double used = std::min(1.0, static_cast<double>(l.shape.blocks) / static_cast<double>(std::min(items, room)));
  const double share =
      std::max(static_cast<double>(total) / static_cast<double>(sms) / used, static_cast<double>(longest));
  return fillUs + share * l.stepUs(4 * queries * keys * dim, 2 * keys * dim * sizeOf(v.type("T")));
}

const Engine chunkSimt = {
    .name = "simt", .header = "attention/chunk_simt.cuh", .body = "chunkSimt", .shape = shape, .fallback = fallback};

void addChunk(Catalogue &catalogue) {
  catalogue.add(
      {.name = "attention_chunk",
       .params = {{"T", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}},
       .args = {input("q", "T", "n heads D"), input("k", "T", "n kv_heads D"), input("v", "T", "n kv_heads D"),
                ringArg(Access::In), index("rows", "n"), index("positions", "n"), index("starts", "rows"),
                output("y", "T", "n heads D"), integer("window"), real("scale"), integer("n")},
       .constraint = constraint,
       .cost = cost,
       .tolerance = tolerance},
      {&chunkMma, &chunkSimt, &chunkWgmma}); // where bytes decide alone, the first is taken
}

} // namespace kernels
