// sample: one token for each row of logits.
#include "kernels_templates/base/require.h"
#include "kernels_templates/sample/sample_layout.h"
#include "kernels_templates/sample/words.h"

namespace kernels {

static std::string constraint(const Values &p) {
  return firstOf({requireRange(p, "Vp", 1, maxExtent), requireRange(p, "V", 1, p["Vp"])});
}

/// Greedy: one comparison an element.
static Cost cost(const Values &v) {
  const uint64_t r = v.count("r"), V = v.count("V");
  return {r * (4 * V + 12) + 4 * samplingWords, r * V};
}

static double tolerance(const Values &) { return 0; } // an id

static uint64_t sampling(const Values &, const Limits &) { return samplingWords; }

static uint64_t slicesOf(const Values &v) {
  return static_cast<uint64_t>(SampleLayout(v["V"]).slices(static_cast<long long>(v.count("r"))));
}

static LaunchShape shape(const Values &v) {
  return blockEach(elementCount(v.count("r"), slicesOf(v)), SampleLayout::threads,
                   static_cast<uint32_t>(SampleLayout(v["V"]).sharedBytes));
}

/// A row's counter, and eight bytes there and back from each block.
static Cost moreCost(const Values &v) { return {v.count("r") * (16 * slicesOf(v) + 8), 0}; }

static uint64_t partials(const Values &v, const Limits &) {
  return elementCount(v.count("r"), slicesOf(v), SampleLayout(v["V"]).sliceWords);
}

void add_sample(Catalogue &catalogue) {
  static const Engine engine = {
      .name = "simt",
      .header = "sample/sample.cuh",
      .body = "sampleRows",
      .args = {{.name = "counters", .access = Access::InOut, .role = Role::Counters, .type = "u32", .shape = "r"},
               {.name = "partials",
                .access = Access::Scratch,
                .role = Role::Partials,
                .type = "f32",
                .elements = partials}},
      .shape = shape,
      .moreCost = moreCost,
      .waitsItself = true};
  catalogue.add(
      {.name = "sample",
       .params = {{"V"}, {"Vp"}},
       .args = {input("z", "f32", "r Vp"),
                index("index", "r", "last"),
                index("steps", "r"),
                {.name = "sampling", .access = Access::In, .role = Role::Sampling, .type = "u32", .elements = sampling},
                {.name = "next", .access = Access::Out, .role = Role::Next, .type = "i32", .shape = "r"},
                real("cap"),
                integer("r")},
       .constraint = constraint,
       .cost = cost,
       .tolerance = tolerance},
      {&engine});
}

} // namespace kernels
