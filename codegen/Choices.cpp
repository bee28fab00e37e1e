#include "codegen/Choices.h"

#include "codegen/Registry.h"
#include "kernels_templates/common/tile.h"

#include <algorithm>

namespace codegen {

using kernels::Family;
using kernels::Params;

Problem problemOf(const Product &p) {
  return {p.epilogue,
          {{"T", static_cast<int64_t>(p.in)},
           {"O", static_cast<int64_t>(p.out)},
           {"M", p.rows},
           {"N", p.columns},
           {"K", p.depth},
           {"norm", p.norm},
           {"relu2", p.relu2}},
          {{"n", p.rows}}};
}

Problem problemOf(const Attention &a) {
  return {
      "",
      {{"T", static_cast<int64_t>(a.in)}, {"heads", a.heads}, {"kv_heads", a.kvHeads}, {"D", a.dim}, {"ring", a.ring}},
      {{"window", a.window}, {"n", a.tokens}}};
}

template <typename Key>
static std::optional<int64_t> find(const std::vector<std::pair<Key, int64_t>> &values, std::string_view name) {
  for (const auto &[key, value] : values)
    if (key == name)
      return value;
  return std::nullopt;
}

std::string Choice::text() const {
  std::string text = stem;
  for (const auto &[name, value] : tuning)
    text += " " + name + "=" + std::to_string(value);
  return text;
}

std::optional<Instance> instanceOf(const Problem &problem, const Choice &choice, std::string_view target,
                                   std::string &why) {
  const std::string name = choice.stem + problem.suffix;
  Instance instance{findFamily(name), {}, {}};
  if (!instance.family) {
    why = "there is no kernel family '" + name + "'";
    return std::nullopt;
  }
  if (!instance.family->target.empty() && instance.family->target != target) {
    why = "family '" + name + "' is for " + std::string(instance.family->target) + " alone";
    return std::nullopt;
  }
  std::string known;
  size_t used = 0;
  for (const kernels::ParamDecl &param : instance.family->params) {
    std::optional<int64_t> value = find(problem.params, param.name);
    if (!value) {
      known += (known.empty() ? "" : ", ") + std::string(param.name);
      if (!(value = find(choice.tuning, param.name))) {
        why = "family '" + name + "' needs " + std::string(param.name);
        return std::nullopt;
      }
      ++used;
    }
    instance.params.values.emplace_back(param.name, *value);
  }
  if (used != choice.tuning.size()) {
    why = "family '" + name + "' is spread by " + (known.empty() ? "nothing" : known) + ", once each";
    return std::nullopt;
  }
  if (why = instance.family->constraint(instance.params); !why.empty()) {
    why = "family '" + name + "': " + why;
    return std::nullopt;
  }
  for (const kernels::ArgDecl &arg : instance.family->args)
    if (isScalar(arg.kind))
      instance.scalars.push_back({.i = static_cast<int32_t>(find(problem.scalars, arg.name).value_or(0))});
  return instance;
}

/// Warpgroup products: a batch as one tile of tokens, its weights split over a cluster where there are few; a prompt as
/// large tiles that share their tokens. As many stages as fit: half an SM for a batch, whose launches overlap.
static void addWarpgroups(const Product &product, std::string_view target, std::vector<Choice> &choices) {
  const std::optional<DeviceModel> device = deviceModel(target);
  auto add = [&](int64_t tileM, int64_t tileN, int64_t split, int64_t share, uint32_t most) {
    const int64_t blocks = device->sms / (split * share) * (split * share);
    for (int64_t stages = 12; stages > 1; --stages) {
      Choice choice{"wgemm",
                    {{"tile_m", tileM},
                     {"tile_n", tileN},
                     {"stages", stages},
                     {"split", split},
                     {"share", share},
                     {"blocks", blocks}},
                    false};
      std::string why;
      auto instance = instanceOf(problemOf(product), choice, target, why);
      if (!instance || instance->family->shape(instance->params, instance->scalars).sharedBytes > most)
        continue;
      choices.push_back(std::move(choice));
      return;
    }
  };
  constexpr int64_t tiles[] = {8, 16, 32, 64, 96, 128, 192, 256};
  if (!device || !findFamily("wgemm" + product.epilogue))
    return;
  if (product.rows <= 128) {
    const int64_t tileM = *std::lower_bound(std::begin(tiles), std::end(tiles), product.rows);
    for (int64_t tileN : {64, 128})
      for (int64_t split : {1, 2, 3, 4, 6, 8})
        if (split == 1 || product.depth >= 128 * split)
          add(tileM, tileN, split, 1, halfSmShared);
    return;
  }
  for (int64_t tileM : {128, 192, 256})
    for (int64_t share : {1, 2})
      add(tileM, 128, 1, share, device->blockShared);
}

std::vector<Choice> choicesFor(const Product &product, std::string_view target) {
  std::vector<Choice> choices;
  auto add = [&](Choice choice) {
    std::string why;
    if (instanceOf(problemOf(product), choice, target, why))
      choices.push_back(std::move(choice));
  };
  addWarpgroups(product, target, choices);
  if (product.rows <= kernels::gemvRows) {
    add({"gemv", {}});
    return choices;
  }
  for (kernels::Tile tile : kernels::gemmTiles)
    if (tile.rows < 2 * product.rows || tile.rows == kernels::gemmTiles.back().rows)
      add({"gemm", {{"tile_m", tile.rows}, {"tile_n", tile.columns}}});
  return choices;
}

std::vector<Choice> choicesFor(const Attention &attention, std::string_view target) {
  std::vector<Choice> choices = {{"attention", {}}};
  if (attention.tokens < 64) // a tile of queries would be mostly empty
    return choices;
  struct Shape {
    int64_t queries, keys, stages;
  };
  for (Shape s : {Shape{128, 128, 2}, Shape{128, 128, 3}, Shape{192, 128, 2}, Shape{192, 64, 4}, Shape{128, 64, 4},
                  Shape{64, 128, 1}, Shape{64, 64, 2}}) {
    Choice choice{"attention_prefill", {{"tile_q", s.queries}, {"tile_k", s.keys}, {"stages", s.stages}}, false};
    std::string why;
    if (instanceOf(problemOf(attention), choice, target, why))
      choices.push_back(std::move(choice));
  }
  return choices;
}

static uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

double predictUs(const DeviceModel &device, const Instance &instance) {
  const Family &family = *instance.family;
  const kernels::Cost cost = family.cost(instance.params, instance.scalars);
  const bool tensor = usesTensorCores(family, instance.params, false);
  const Prediction roofline = predict(device, {cost, tensor});
  auto param = [&](std::string_view name, uint64_t otherwise) {
    return static_cast<uint64_t>(find(instance.params.values, name).value_or(static_cast<int64_t>(otherwise)));
  };
  const uint64_t tileM = param("tile_m", 0), tileN = param("tile_n", 0);
  if (tileM == 0) // no tiles of a product: nothing is done twice
    return roofline.us();
  uint64_t rows = 0;
  for (size_t i = 0, scalar = 0; i < family.args.size(); ++i)
    if (isScalar(family.args[i].kind)) {
      if (family.args[i].name == "n")
        rows = static_cast<uint64_t>(instance.scalars[scalar].i);
      ++scalar;
    }

  // Blocks share an SM's multipliers and its link to L2, so that the SM with the most of them takes longest, however
  // many are resident.
  constexpr uint64_t depth = 64; // of a step
  constexpr double fillUs = 1.0; // until the first operands are there and after the last sums: a trip to memory each
  const uint64_t split = param("split", 1), share = param("share", 1);
  const uint64_t tiles = ceilDiv(rows, tileM) * ceilDiv(param("N", 1), tileN);
  const uint64_t most = ceilDiv(tiles * split, device.sms), steps = ceilDiv(ceilDiv(param("K", 1), depth), split);
  const bool warpgroups = family.target == "sm_90a";
  const double rate = (tensor ? device.bf16FlopsPerUs * (warpgroups ? 1 : device.warpMmaShare) : device.f32FlopsPerUs);
  const double multiply = 2.0 * static_cast<double>(tileM * tileN * depth) / (rate / device.sms);
  const double feed = static_cast<double>((tileM / share + tileN) * depth * sizeOf(instance.params.type("T"))) /
                      (device.l2BytesPerUs / device.sms);
  const double blocks = fillUs + static_cast<double>(most * steps) * std::max(multiply, feed);
  return std::max(std::max(roofline.bytesUs, roofline.flopsUs), blocks) + roofline.launchUs;
}

} // namespace codegen
