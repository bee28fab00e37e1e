#include "kernels_templates/attention/attention.h"

namespace kernels {

std::string requireHeads(const Values &p) {
  return firstOf({requireRange(p, "kv_heads", 1, maxExtent), requireRange(p, "heads", 1, maxExtent),
                  requireMultiple(p, "heads", std::max<int64_t>(1, p["kv_heads"]), "kv_heads")});
}

std::string requireGroup(const Values &p) {
  const int64_t group = p["heads"] / p["kv_heads"];
  if (group <= 8)
    return "";
  return "heads is " + std::to_string(p["heads"]) + ", which are " + std::to_string(group) + " for each of kv_heads; " +
         std::to_string(8 * p["kv_heads"]) + " works";
}

Arg ringArg(Access access) {
  return {.name = "kv", .access = access, .role = Role::Kv, .type = "T", .shape = "rows 2 kv_heads ring D"};
}

void addGate(Meaning &meaning) {
  meaning.params.insert(meaning.params.end(), {{"C"}, {"channels"}});
  meaning.args.insert(meaning.args.end(),
                      {input("x", "T", "n C"), index("tokens", "n"), constant("embeds", "T", "vocab kv_heads D"),
                       constant("gate", "T", "kv_heads channels"), real("range")});
}

bool hasGate(const Values &p) { return p.find("channels").has_value(); }

std::string requireGate(const Values &p) {
  return firstOf({requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

Cost gateCost(const Values &v, uint64_t norms) {
  const uint64_t n = v.count("n"), kvHeads = v.count("kv_heads"), D = v.count("D"), C = v.count("C"),
                 channels = v.count("channels");
  return {.bytes = (n * C + n * kvHeads * D + kvHeads * channels) * sizeOf(v.type("T")) + 4 * n,
          .flops = n * 2 * (norms * C + kvHeads * (channels + D))};
}

double gateTolerance(const Values &p) { return reductionOf(p["C"]) + reductionOf(p["channels"]); }

void add_attention(Catalogue &catalogue) {
  addChunk(catalogue);
  addStep(catalogue);
  addPrepare(catalogue);
  addKvWrite(catalogue);
}

} // namespace kernels
