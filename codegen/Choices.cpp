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
                     {"blocks", blocks}}};
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
    Choice choice{"attention_prefill", {{"tile_q", s.queries}, {"tile_k", s.keys}, {"stages", s.stages}}};
    std::string why;
    if (instanceOf(problemOf(attention), choice, target, why))
      choices.push_back(std::move(choice));
  }
  return choices;
}

static uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/// Parameters and scalars of an instance by name.
class Values {
public:
  explicit Values(const Instance &instance) : instance(instance) {}

  uint64_t param(std::string_view name, uint64_t otherwise = 1) const {
    return static_cast<uint64_t>(find(instance.params.values, name).value_or(static_cast<int64_t>(otherwise)));
  }
  uint64_t scalar(std::string_view name) const {
    size_t next = 0;
    for (const kernels::ArgDecl &arg : instance.family->args)
      if (isScalar(arg.kind)) {
        if (arg.name == name)
          return static_cast<uint64_t>(std::max(0, instance.scalars[next].i));
        ++next;
      }
    return 0;
  }

private:
  const Instance &instance;
};

/// A block's step is bounded by its multiplications or by its operands' way from L2; blocks of an SM share both.
static double stepUs(const DeviceModel &device, double rate, uint64_t flops, uint64_t bytes) {
  return device.sms * std::max(static_cast<double>(flops) / rate, static_cast<double>(bytes) / device.l2BytesPerUs);
}

/// The SM with the most blocks takes longest, however many are resident.
static double productUs(const DeviceModel &device, double rate, const Instance &instance) {
  constexpr uint64_t depth = 64; // of a step
  const Values v(instance);
  const uint64_t tileM = v.param("tile_m"), tileN = v.param("tile_n"), split = v.param("split"),
                 share = v.param("share");
  const uint64_t tiles = ceilDiv(v.scalar("n"), tileM) * ceilDiv(v.param("N"), tileN);
  const uint64_t most = ceilDiv(tiles * split, device.sms), steps = ceilDiv(ceilDiv(v.param("K"), depth), split);
  return static_cast<double>(most * steps) *
         stepUs(device, rate, 2 * tileM * tileN * depth,
                (tileM / share + tileN) * depth * sizeOf(instance.params.type("T")));
}

/// One prompt: later tiles of queries see more keys. The SMs share all steps evenly, but no block is shorter than its
/// own.
static double attentionUs(const DeviceModel &device, double rate, const Instance &instance) {
  const Values v(instance);
  const uint64_t queries = v.param("tile_q"), keys = v.param("tile_k"), dim = v.param("D");
  uint64_t total = 0, longest = 0;
  for (uint64_t end = queries; end < v.scalar("n") + queries; end += queries) {
    const uint64_t steps = ceilDiv(std::min(end, v.scalar("window") + queries), keys);
    total += steps * v.param("heads");
    longest = std::max(longest, steps);
  }
  const double share = std::max(static_cast<double>(total) / device.sms, static_cast<double>(longest));
  return share * stepUs(device, rate, 4 * queries * keys * dim, 2 * keys * dim * sizeOf(instance.params.type("T")));
}

double predictUs(const DeviceModel &device, const Instance &instance) {
  const Family &family = *instance.family;
  const bool tensor = usesTensorCores(family, instance.params, false);
  const Prediction roofline = predict(device, {family.cost(instance.params, instance.scalars), tensor});
  const bool product = find(instance.params.values, "tile_m").has_value(),
             attention = find(instance.params.values, "tile_q").has_value();
  if (!product && !attention) // no tiles: nothing is done twice
    return roofline.us();
  constexpr double fillUs = 1.0; // until the first operands are there and after the last sums: a trip to memory each
  const double rate = !tensor                     ? device.f32FlopsPerUs
                      : family.target == "sm_90a" ? device.bf16FlopsPerUs
                                                  : device.bf16FlopsPerUs * device.warpMmaShare;
  const double blocks = fillUs + (product ? productUs(device, rate, instance) : attentionUs(device, rate, instance));
  return std::max({roofline.bytesUs, roofline.flopsUs, blocks}) + roofline.launchUs;
}

} // namespace codegen
