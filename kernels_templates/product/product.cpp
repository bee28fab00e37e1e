// The meanings of products: a product and one of the epilogues.
#include "kernels_templates/product/product.h"

namespace kernels {

static std::vector<Arg> mixInputs() {
  return {input("r", "O", "n N"), input("x0", "O", "n N"), constant("resid", "f32", "layer+1"),
          constant("skip", "f32", "layer+1")};
}

std::span<const Epilogue> allEpilogues() {
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

static std::string constraint(const Values &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "O"), requireRange(p, "K", 1, maxExtent),
                  requireRange(p, "N", 1, maxExtent), requireRange(p, "norm", 0, 1)});
}

/// What an epilogue reads has the type of the output, and the traits load it as they load x.
static std::string sameTypes(const Values &p) {
  std::string violated = constraint(p);
  return violated.empty() && p["O"] != p["T"] ? "O must be T" : violated;
}

template <size_t epilogue> static Cost cost(const Values &v) {
  const Epilogue &e = allEpilogues()[epilogue];
  const uint64_t rows = v.count("n"), columns = v.count("N"), k = v.count("K");
  const uint64_t norm = v["norm"] != 0 ? rows * (2 * k + columns) : 0;
  return {(rows + columns) * k * sizeOf(v.type("T")) + rows * columns * e.elementsPerOutput * sizeOf(v.type("O")),
          rows * columns * (2 * k + e.flopsPerOutput) + norm};
}

// The terms of a norm's sum are all positive, and the root halves its relative error.
template <size_t epilogue> static double tolerance(const Values &p) {
  const double norm = p["norm"] != 0 ? reductionOf(p["K"]) / 2 : 0;
  return allEpilogues()[epilogue].error * (roundingOf(p.type("O")) + reductionOf(p["K"]) + norm);
}

std::string productFallback(const Values &p) {
  return p.type("T") == DType::BF16 ? requireMultiple(p, "K", 8, "8") : "";
}

template <size_t i> static void addProduct(Catalogue &catalogue) {
  const Epilogue &e = allEpilogues()[i];
  Meaning meaning = {
      .name = e.name.empty() ? "product" : "product_" + std::string(e.name),
      .params = {{"T", true}, {"O", true}, {"K"}, {"N"}, {"norm"}},
      .args = {input("x", "T", "n K"), constant("w", "T", "N K")},
      .traits = {e.trait},
      .constraint = e.inputs.empty() ? constraint : sameTypes,
      .cost = cost<i>,
      .tolerance = tolerance<i>,
  };
  for (const std::vector<Arg> &more : {e.inputs, e.outputs, {output("y", "O", "n N")}, e.scalars, {integer("n")}})
    meaning.args.insert(meaning.args.end(), more.begin(), more.end());
  catalogue.add(std::move(meaning), {&productWgmma, &productStream, &productMma});
}

void add_product(Catalogue &catalogue) {
  [&]<size_t... i>(std::index_sequence<i...>) { (addProduct<i>(catalogue), ...); }
  (std::make_index_sequence<6>());
}

} // namespace kernels
