// The meanings of products: weights in one of the formats, and one of the epilogues.
#include "kernels_templates/product/product.h"

namespace kernels {

static std::vector<Arg> mixInputs() {
  return {input("r", "O", "n N"), input("x0", "O", "n N"), constant("resid", "f32", "layer+1"),
          constant("skip", "f32", "layer+1")};
}

std::span<const Epilogue, epilogueCount> allEpilogues() {
  static const Epilogue all[] = {
      {.name = "", .trait = "Plain", .elementsPerOutput = 1, .flopsPerOutput = 0, .error = 1},
      {.name = "relu2", .trait = "Relu2", .elementsPerOutput = 1, .flopsPerOutput = 2, .error = 2}, // of a square
      {.name = "add",
       .trait = "Add",
       .inputs = {input("r", "O", "n N")},
       .elementsPerOutput = 2,
       .flopsPerOutput = 1,
       .error = 1},
      {.name = "mix",
       .trait = "Mix",
       .inputs = mixInputs(),
       .scalars = {integer("layer")},
       .elementsPerOutput = 3,
       .flopsPerOutput = 4,
       .error = 1},
      {.name = "mix_sum",
       .trait = "MixSum",
       .inputs = mixInputs(),
       .outputs = {output("sum", "O", "n N")},
       .scalars = {integer("layer")},
       .elementsPerOutput = 4,
       .flopsPerOutput = 4,
       .error = 1},
      {.name = "backout",
       .trait = "Backout",
       .inputs = {input("r", "O", "n N"), input("mid", "O", "n N"), constant("lambda", "f32", "1")},
       .elementsPerOutput = 3,
       .flopsPerOutput = 3,
       .error = 1},
  };
  return all;
}

std::span<const WeightFormat, weightFormatCount> allWeightFormats() {
  static const WeightFormat all[] = {
      {.name = "", .trait = "", .engines = {&productWgmma, &productStream, &productMma}},
      {.name = "scaled",
       .trait = "Scaled",
       .params = {{"W", true}},
       .scales = {constant("scales", "f32", "N")},
       .scaleBytes = 4,
       .engines = {&productStream, &productMma}},
  };
  return all;
}

DType weightType(const Values &p) { return p.find("W") ? p.type("W") : p.type("T"); }

static std::string constraint(const Values &p) {
  if (p.find("W") && p.type("W") != DType::F8E4M3)
    return "W is " + std::string(nameOf(p.type("W"))) + "; f8e4m3 works";
  return firstOf({requireFloat(p, "T"), requireFloat(p, "O"), requireRange(p, "K", 1, maxExtent),
                  requireRange(p, "N", 1, maxExtent), requireRange(p, "norm", 0, 1)});
}

/// What an epilogue reads has the type of the output, and the traits load it as they load x.
static std::string sameTypes(const Values &p) {
  std::string violated = constraint(p);
  return violated.empty() && p["O"] != p["T"] ? "O must be T" : violated;
}

template <size_t format, size_t epilogue> static Cost cost(const Values &v) {
  const Epilogue &e = allEpilogues()[epilogue];
  const uint64_t rows = v.count("n"), columns = v.count("N"), k = v.count("K");
  const uint64_t norm = v["norm"] != 0 ? rows * (2 * k + columns) : 0;
  const uint64_t weights = columns * (bytesOf(weightType(v), k) + allWeightFormats()[format].scaleBytes);
  return {rows * k * sizeOf(v.type("T")) + weights + rows * columns * e.elementsPerOutput * sizeOf(v.type("O")),
          rows * columns * (2 * k + e.flopsPerOutput) + norm};
}

// The terms of a norm's sum are all positive, and the root halves its relative error. Narrow weights are exact in bf16,
// and one multiplication by a scale is less than what the sum's order makes.
template <size_t epilogue> static double tolerance(const Values &p) {
  const double norm = p["norm"] != 0 ? reductionOf(p["K"]) / 2 : 0;
  return allEpilogues()[epilogue].error * (roundingOf(p.type("O")) + reductionOf(p["K"]) + norm);
}

std::string productFallback(const Values &p) {
  if (p.type("T") != DType::BF16)
    return "";
  const auto multiple = static_cast<int64_t>(elementsIn(weightType(p), 16));
  return requireMultiple(p, "K", multiple, std::to_string(multiple));
}

bool onTensorCores(const Values &p) { return p.type("T") == DType::BF16 && productFallback(p).empty(); }

template <size_t format, size_t epilogue> static void addProduct(Catalogue &catalogue) {
  const WeightFormat &f = allWeightFormats()[format];
  const Epilogue &e = allEpilogues()[epilogue];
  static const std::string trait =
      f.name.empty() ? std::string(e.trait) : std::string(f.trait) + "<" + std::string(e.trait) + ">::Of";
  Meaning meaning = {
      .name = "product",
      .params = {{"T", true}, {"O", true}, {"K"}, {"N"}, {"norm"}},
      .args = {input("x", "T", "n K"), constant("w", f.params.empty() ? "T" : f.params[0].name, "N K")},
      .traits = {trait},
      .constraint = e.inputs.empty() ? constraint : sameTypes,
      .cost = cost<format, epilogue>,
      .tolerance = tolerance<epilogue>,
  };
  for (std::string_view part : {f.name, e.name})
    if (!part.empty())
      meaning.name += "_" + std::string(part);
  meaning.params.insert(meaning.params.end(), f.params.begin(), f.params.end());
  for (const std::vector<Arg> &more :
       {f.scales, e.inputs, e.outputs, {output("y", "O", "n N")}, e.scalars, {integer("n")}})
    meaning.args.insert(meaning.args.end(), more.begin(), more.end());
  catalogue.add(std::move(meaning), f.engines);
}

template <size_t format> static void addFormat(Catalogue &catalogue) {
  [&]<size_t... i>(std::index_sequence<i...>) { (addProduct<format, i>(catalogue), ...); }
  (std::make_index_sequence<epilogueCount>());
}

void add_product(Catalogue &catalogue) {
  [&]<size_t... i>(std::index_sequence<i...>) { (addFormat<i>(catalogue), ...); }
  (std::make_index_sequence<weightFormatCount>());
}

} // namespace kernels
