// What is computed element by element: scale, add, relu2, mix, backout.
#include "kernels_templates/rows/rows.h"

namespace kernels {

static std::string constraint(const Values &p) { return requireFloat(p, "T"); }

static LaunchShape shape(const Values &v) { return threadsFor(ceilDiv(v.count("count"), 16 / sizeOf(v.type("T")))); }

/// Of `elements` that are read or written for each of the output, `words` besides, and the operations of an element.
template <uint64_t elements, uint64_t words, uint64_t flops> static Cost cost(const Values &v) {
  const uint64_t count = v.count("count");
  return {elements * count * sizeOf(v.type("T")) + 4 * words, flops * count};
}

static double tolerance(const Values &p) { return roundingOf(p.type("T")); }

template <uint64_t elements, uint64_t words, uint64_t flops>
static Meaning meaning(std::string name, std::vector<Arg> inputs, std::vector<Arg> scalars = {}) {
  Meaning result = {.name = std::move(name),
                    .params = {{"T", true}},
                    .args = std::move(inputs),
                    .constraint = constraint,
                    .cost = cost<elements, words, flops>,
                    .tolerance = tolerance};
  result.args.push_back(output("y", "T", "count"));
  result.args.insert(result.args.end(), scalars.begin(), scalars.end());
  result.args.push_back(integer("count"));
  return result;
}

static Engine engine(std::string_view body) {
  return {.name = "simt", .header = "rows/pointwise.cuh", .body = body, .shape = shape};
}

void addPointwise(Catalogue &catalogue) {
  static const Engine scale = engine("scaleElements"), add = engine("addElements"), relu2 = engine("relu2Elements"),
                      mix = engine("mixElements"), backout = engine("backoutElements");
  catalogue.add(meaning<2, 0, 1>("scale", {input("x", "T", "count")}, {real("factor")}), {&scale});
  catalogue.add(meaning<3, 0, 1>("add", {input("a", "T", "count"), input("b", "T", "count")}), {&add});
  catalogue.add(meaning<2, 0, 2>("relu2", {input("x", "T", "count")}), {&relu2});
  catalogue.add(meaning<3, 2, 3>("mix",
                                 {input("x", "T", "count"), input("x0", "T", "count"),
                                  constant("resid", "f32", "layer+1"), constant("skip", "f32", "layer+1")},
                                 {integer("layer")}),
                {&mix});
  catalogue.add(meaning<3, 1, 2>(
                    "backout", {input("x", "T", "count"), input("mid", "T", "count"), constant("lambda", "f32", "1")}),
                {&backout});
}

} // namespace kernels
