// Rows of a table by an index: embeddings, alone or with all that follows them up to the first layer, and the last
// tokens of prompts.
#include "kernels_templates/rows/embed_layout.h"
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string gatherConstraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent)});
}

static uint64_t vectorsOf(const Values &v) {
  return v.count("C") / static_cast<uint64_t>(vectorWidth(v["C"], sizeOf(v.type("T"))));
}

static double exact(const Values &) { return 0; } // a copy

/// What an embedding goes through: nothing, the norm, the norm and then the smear; and then the first mix or not.
template <bool norm, bool smear, bool mix> struct Embedding {
  static_assert(norm || (!smear && !mix));

  static std::string constraint(const Values &p) {
    std::string violated = gatherConstraint(p);
    return violated.empty() && smear ? requireRange(p, "channels", 1, p["C"]) : violated;
  }

  static Cost cost(const Values &v) {
    const uint64_t n = v.count("n"), C = v.count("C"), size = sizeOf(v.type("T")), ids = smear ? 2 : 1;
    constexpr uint64_t rows = 2 + smear + mix;
    Cost cost = {n * (rows * C * size + 4 * ids), n * C * (3 * norm + 4 * smear + 3 * mix)};
    if (smear) {
      cost.bytes += v.count("channels") * size + 4;
      cost.flops += 2 * n * v.count("channels");
    }
    if (mix)
      cost.bytes += 8;
    return cost;
  }

  // A norm's terms are all positive and the root halves its relative error; a smear has two norms.
  static double tolerance(const Values &p) {
    if (smear)
      return roundingOf(p.type("T")) + reductionOf(p["C"]) + reductionOf(p["channels"]);
    return norm ? roundingOf(p.type("T")) + reductionOf(p["C"]) / 2 : 0;
  }

  static Meaning meaning() {
    const std::string through = smear ? "_smear" : norm ? "_norm" : "";
    Meaning result = {.name = "embed" + through + (mix ? "_mix" : ""),
                      .params = {{"T", true}, {"C"}},
                      .args = {index("tokens", "n")},
                      .constraint = constraint,
                      .cost = cost,
                      .tolerance = tolerance};
    auto add = [&](std::initializer_list<Arg> more) { result.args.insert(result.args.end(), more); };
    if (smear) {
      result.params.push_back({"channels"});
      add({index("prev", "n")});
    }
    add({constant("table", "T", "vocab C")});
    if (smear)
      add({constant("gate", "T", "channels"), constant("lambda", "f32", "1")});
    if (mix)
      add({constant("resid", "f32", "layer+1"), constant("skip", "f32", "layer+1"), output("x0", "T", "n C")});
    add({output("y", "T", "n C")});
    if (mix)
      add({integer("layer")});
    add({integer("n")});
    if (norm)
      result.traits = {mix ? "StoreMixed" : "StoreEmbedding"};
    return result;
  }
};

static LaunchShape embedRowsShape(const Values &v) { return threadsFor(elementCount(v.count("n"), vectorsOf(v))); }
static LaunchShape lastRowsShape(const Values &v) { return threadsFor(elementCount(v.count("r"), vectorsOf(v))); }
static LaunchShape blockShape(const Values &v) {
  return blockEach(v.count("n"), EmbedLayout::threads, EmbedLayout::sharedBytes);
}

static Cost lastCost(const Values &v) { return {v.count("r") * (2 * v.count("C") * sizeOf(v.type("T")) + 4), 0}; }

void addEmbed(Catalogue &catalogue) {
  static const Engine gather = {
      .name = "simt", .header = "rows/gather.cuh", .body = "embedRows", .shape = embedRowsShape};
  static const Engine norm = {.name = "simt", .header = "rows/embed.cuh", .body = "embedNorm", .shape = blockShape};
  static const Engine smear = {.name = "simt", .header = "rows/embed.cuh", .body = "embedSmear", .shape = blockShape};
  static const Engine last = {.name = "simt", .header = "rows/gather.cuh", .body = "lastRows", .shape = lastRowsShape};
  catalogue.add(Embedding<false, false, false>::meaning(), {&gather});
  catalogue.add(Embedding<true, false, false>::meaning(), {&norm});
  catalogue.add(Embedding<true, false, true>::meaning(), {&norm});
  catalogue.add(Embedding<true, true, false>::meaning(), {&smear});
  catalogue.add(Embedding<true, true, true>::meaning(), {&smear});
  catalogue.add(
      {.name = "last",
       .params = {{"T", true}, {"C"}},
       .args = {input("x", "T", "tokens C"), index("index", "r", "last"), output("y", "T", "r C"), integer("r")},
       .constraint = gatherConstraint,
       .cost = lastCost,
       .tolerance = exact},
      {&last});
}

} // namespace kernels
