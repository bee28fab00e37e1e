#include "codegen/Choices.h"

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
      {{"window", a.window}, {"n", a.tokens}}};
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

std::vector<Choice> choicesFor(const DecodeAttention &attention, std::string_view target) {
  std::vector<Choice> choices;
  auto add = [&](Choice choice) {
    std::string why;
    if (instanceOf(problemOf(attention), choice, target, why))
      choices.push_back(std::move(choice));
  };
  // Clusters exist from sm_90 on. More blocks than tiles would be idle.
  const auto tiles = static_cast<int64_t>(kernels::attention_decode::tilesOf(static_cast<uint64_t>(attention.ring)));
  for (int64_t cluster : {8, 4, 2, 1})
    if (cluster == 1 || (!target.starts_with("sm_8") && cluster < 2 * tiles))
      add({"attention_decode", {{"cluster", cluster}}});
  if (const std::optional<DeviceModel> device = deviceModel(target))
    for (int64_t chunk : {32, 64, 128, 256})
      if (chunk == 32 || chunk < 2 * attention.ring)
        add({"attention_batch", {{"chunk", chunk}, {"blocks", device->sms}}});
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

/// Decode attention, of which an H100 has shown (batches of 1 to 128 with d12 and d32): what a launch takes besides its
/// tiles, and a further turn of blocks that found no room beside the launch before; a round of a block's tiles at
/// least; how much of the bandwidth is reached. Of attention_batch these are estimates: a warp's tile, what a chunk
/// takes besides, and partial results that meet in memory.
constexpr double decodeFillUs = 1.6, decodeTurnUs = 3.5, decodeRoundUs = 3.6, decodeShare = 0.9;
constexpr double batchTileUs = 1.7, batchChunkUs = 1.0, batchMeetUs = 1.5, batchShare = 0.95;

/// The SM with the most blocks or chunks takes longest. In attention_batch the last chunk's warp then is alone for half
/// of it.
static double decodeUs(const DeviceModel &device, const Instance &instance, const Prediction &roofline) {
  namespace decode = kernels::attention_decode;
  const Values v(instance);
  const uint64_t heads = v.scalar("n") * v.param("kv_heads"), keys = std::min(v.scalar("window") + 1, v.param("ring"));
  const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
  const uint64_t warps = shape.block[0] / 32, tiles = decode::tilesOf(keys);
  const double all = std::max(roofline.bytesUs, roofline.flopsUs);
  // On one SM, of what `work` units of equal size share.
  auto most = [&](uint64_t work) {
    return all * static_cast<double>(ceilDiv(work, device.sms) * device.sms) / static_cast<double>(work);
  };
  if (const uint64_t cluster = v.param("cluster", 0)) {
    constexpr uint64_t before = 96 << 10; // shared memory of a gemv
    const uint64_t room = device.blockShared > before ? (device.blockShared - before) / shape.sharedBytes : 0;
    const uint64_t turns = ceilDiv(heads * cluster, device.sms * std::max<uint64_t>(1, room));
    const auto rounds = static_cast<double>(ceilDiv(ceilDiv(tiles, cluster), warps));
    return decodeFillUs + static_cast<double>(turns - 1) * decodeTurnUs +
           std::max(most(heads * cluster) / decodeShare, rounds * decodeRoundUs);
  }
  const uint64_t chunk = std::min(ceilDiv(v.param("chunk"), decode::tileSlots), tiles),
                 chunks = heads * ceilDiv(tiles, chunk);
  const double chunkUs = static_cast<double>(chunk) * batchTileUs;
  const auto each = static_cast<double>(ceilDiv(chunks, shape.grid[0] * warps));
  return decodeFillUs + std::max(most(chunks) / batchShare, each * (chunkUs + batchChunkUs)) + chunkUs / 2 +
         batchMeetUs;
}

double predictUs(const DeviceModel &device, const Instance &instance) {
  const Family &family = *instance.family;
  const bool tensor = usesTensorCores(family, instance.params, false);
  const Prediction roofline = predict(device, {family.cost(instance.params, instance.scalars), tensor});
  if (find(instance.params.values, "cluster") || find(instance.params.values, "chunk"))
    return decodeUs(device, instance, roofline) + roofline.launchUs;
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
