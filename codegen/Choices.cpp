#include "codegen/Choices.h"

#include "codegen/Instantiate.h"
#include "codegen/Registry.h"
#include "kernels_templates/attention_decode/shape.h"
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
      {{"window", a.window}, {"n", a.tokens}, {"row_count", a.rows}}}; // the last for the choices alone
}

Problem problemOf(const DecodeAttention &a) {
  Problem problem = {"",
                     {{"T", static_cast<int64_t>(a.in)},
                      {"P", static_cast<int64_t>(a.table)},
                      {"heads", a.heads},
                      {"kv_heads", a.kvHeads},
                      {"D", a.dim},
                      {"ring", a.ring}},
                     {{"window", a.window}, {"n", a.tokens}}};
  if (a.channels) {
    problem.suffix = "_ve";
    problem.params.insert(problem.params.end(), {{"C", a.width}, {"channels", a.channels}});
  }
  return problem;
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

bool isPlain(const Product &product) { return product.epilogue.empty() && !product.norm && !product.relu2; }

/// Of family linear, whose meaning a library's product has.
static Params linearParams(const Product &p) {
  return {{{"T", static_cast<int64_t>(p.in)}, {"O", static_cast<int64_t>(p.out)}, {"K", p.depth}, {"N", p.columns}}};
}

std::string libraryKernelPrefix(const Product &product) {
  return kernelName(*findFamily("linear"), linearParams(product)) + " by cublaslt ";
}

std::string libraryKernelName(const Product &product, std::string_view version, uint32_t algorithm) {
  return libraryKernelPrefix(product) + std::string(version) + " algorithm " + std::to_string(algorithm);
}

double predictLibraryUs(const DeviceModel &device, const Product &product) {
  const Family &linear = *findFamily("linear");
  const Params params = linearParams(product);
  const kernels::Scalar rows{.i = static_cast<int32_t>(product.rows)};
  return predict(device, {linear.cost(params, std::span(&rows, 1)), usesTensorCores(linear, params, true)}).us();
}

/// Warpgroup products in every shape that might serve, each with as many stages as half an SM holds, which lets
/// launches overlap, and as a whole one does; of these the best by prediction.
static void addWarpgroups(const Product &product, std::string_view target, std::vector<Choice> &choices) {
  constexpr size_t offered = 24;
  constexpr int64_t tiles[] = {8, 16, 32, 64, 96, 128, 192, 256};
  const std::optional<DeviceModel> device = deviceModel(target);
  if (!device || !findFamily("wgemm" + product.epilogue))
    return;
  std::vector<std::pair<double, Choice>> all;
  auto add = [&](int64_t tileM, int64_t tileN, int64_t split, int64_t share, uint32_t most, int64_t resident) {
    const int64_t blocks = device->sms * resident / (split * share) * (split * share);
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
      all.emplace_back(predictUs(*device, *instance), std::move(choice));
      return;
    }
  };
  for (int64_t tileM : tiles) {
    // More than the tokens need is idle; far less reads the weights too often.
    if (tileM >= std::max<int64_t>(16, 2 * product.rows) || tileM < std::min<int64_t>(64, product.rows / 4))
      continue;
    for (int64_t tileN : {64, 128, 192})
      for (int64_t split = 1; split <= 8; ++split)
        for (int64_t share : {1, 2}) {
          if ((split > 1 && share > 1) || (split > 1 && product.depth < 128 * split))
            continue;
          add(tileM, tileN, split, share, halfSmShared, tileN == 64 ? 2 : 1);
          add(tileM, tileN, split, share, device->blockShared, 1);
        }
  }
  std::stable_sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  if (all.size() > offered)
    all.erase(all.begin() + offered, all.end());
  for (auto &[us, choice] : all)
    choices.push_back(std::move(choice));
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

/// attention_prefill, with as many blocks as the SMs hold at a time.
static void addWarpgroupTiles(const Attention &attention, std::string_view target, std::vector<Choice> &choices) {
  struct Shape {
    int64_t queries, keys, stages;
  };
  for (Shape s : {Shape{128, 128, 2}, Shape{128, 128, 3}, Shape{64, 128, 1}, Shape{64, 64, 2}}) {
    Choice choice{"attention_prefill",
                  {{"tile_q", s.queries}, {"tile_k", s.keys}, {"stages", s.stages}, {"blocks", 1}}};
    std::string why;
    if (const auto instance = instanceOf(problemOf(attention), choice, target, why)) {
      const uint32_t resident = residentBlocks(instance->family->shape(instance->params, instance->scalars));
      choice.tuning.back().second = static_cast<int64_t>(deviceModel(target)->sms) * resident;
      choices.push_back(std::move(choice));
    }
  }
}

/// attention_mma where attention_prefill is not for the target or for the heads: a block of 128 queries an SM, or two
/// of 64 with the stages that its shared memory lets them have. Where bytes decide alone, the first is taken: large
/// tiles, which copy less, if every SM has one. A token of each row is none of a prompt: a block would walk over the
/// rings of all its queries.
static void addWarpTiles(const Attention &attention, std::string_view target, std::vector<Choice> &choices) {
  const std::optional<DeviceModel> device = deviceModel(target);
  if (!device || attention.rows >= attention.tokens)
    return;
  std::vector<Choice> tiles;
  auto add = [&](int64_t queries, int64_t stages, uint32_t blocks) {
    constexpr uint32_t reserved = 1024; // of an SM's shared memory, for each block
    Choice choice{"attention_mma", {{"tile_q", queries}, {"tile_k", 64}, {"stages", stages}}};
    std::string why;
    const auto instance = instanceOf(problemOf(attention), choice, target, why);
    const bool fits =
        instance && blocks * (instance->family->shape(instance->params, instance->scalars).sharedBytes + reserved) <=
                        device->blockShared + reserved;
    if (fits)
      tiles.push_back(std::move(choice));
    return fits;
  };
  if (!add(64, 2, 2))
    add(64, 1, 2);
  if (add(128, 2, 1) && (attention.tokens + 127) / 128 * attention.heads >= device->sms)
    std::rotate(tiles.begin(), tiles.end() - 1, tiles.end());
  choices.insert(choices.begin(), tiles.begin(), tiles.end());
}

std::vector<Choice> choicesFor(const Attention &attention, std::string_view target) {
  std::vector<Choice> choices = {{"attention", {}}};
  if (attention.tokens < 64) // a tile of queries would be mostly empty
    return choices;
  if (target == "sm_90a")
    addWarpgroupTiles(attention, target, choices);
  if (choices.size() == 1)
    addWarpTiles(attention, target, choices);
  return choices;
}

std::vector<Choice> choicesFor(const DecodeAttention &attention, std::string_view target) {
  std::vector<Choice> choices;
  auto add = [&](Choice choice) {
    std::string why;
    if (instanceOf(problemOf(attention), choice, target, why))
      choices.push_back(std::move(choice));
  };
  // Clusters exist from sm_90 on; on an H100 single blocks were never best: they end a launch unevenly. More blocks
  // than tiles would be idle.
  const auto tiles = static_cast<int64_t>(kernels::attention_decode::tilesOf(static_cast<uint64_t>(attention.ring)));
  for (int64_t cluster : {8, 4, 2, 1})
    if (cluster == 1 ? target.starts_with("sm_8") || tiles == 1 : !target.starts_with("sm_8") && cluster < 2 * tiles)
      add({"attention_decode", {{"cluster", cluster}}});
  if (const std::optional<DeviceModel> device = deviceModel(target))
    for (int64_t chunk : {32, 64, 128, 256})
      if (chunk == 32 || chunk < 2 * attention.ring)
        add({"attention_batch", {{"chunk", chunk}, {"blocks", device->sms}}});
  return choices;
}

} // namespace codegen
