// How long a launch should take: the roofline, and what its tiles take on as many SMs as there are.
#include "codegen/Choices.h"
#include "codegen/Instantiate.h"
#include "kernels_templates/attention_decode/shape.h"

#include <algorithm>
#include <cmath>

namespace codegen {

using kernels::Family;

static uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

namespace {

/// Parameters and scalars of an instance by name.
class Values {
public:
  explicit Values(const Instance &instance) : instance(instance) {}

  uint64_t param(std::string_view name, uint64_t otherwise = 1) const {
    for (const auto &[key, value] : instance.params.values)
      if (key == name)
        return static_cast<uint64_t>(value);
    return otherwise;
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

} // namespace

/// A block's step is bounded by its multiplications or by its operands' way from L2; blocks of an SM share both.
static double stepUs(const DeviceModel &device, double rate, uint64_t flops, uint64_t bytes) {
  return device.sms * std::max(static_cast<double>(flops) / rate, static_cast<double>(bytes) / device.l2BytesPerUs);
}

constexpr uint64_t depth = 64;         // of K, in a step of a product
constexpr double usPerOutput = 6.3e-5; // of a tile, behind its last step

/// Tiles by mma.sync or on the ordinary cores: two blocks an SM, and the SM with the most blocks takes longest.
static double gemmUs(const DeviceModel &device, double rate, bool tensor, const Instance &instance) {
  const Values v(instance);
  const uint64_t tileM = v.param("tile_m"), tileN = v.param("tile_n");
  const uint64_t most = ceilDiv(ceilDiv(v.scalar("n"), tileM) * ceilDiv(v.param("N"), tileN), device.sms);
  double us =
      stepUs(device, rate, 2 * tileM * tileN * depth, (tileM + tileN) * depth * sizeOf(instance.params.type("T")));
  if (tensor) { // a step's copies, of which the ring has stages - 1 under way
    constexpr double copyUs = 2.3;
    const uint64_t stages = std::min<uint64_t>(6, (96 << 10) / ((tileM + tileN) * 128)); // see common/gemm.cuh
    us = std::max(us, copyUs / static_cast<double>((stages - 1) * std::min<uint64_t>(most, 2)));
  }
  return static_cast<double>(most) *
         (static_cast<double>(ceilDiv(v.param("K"), depth)) * us + usPerOutput * static_cast<double>(tileM * tileN));
}

/// Tiles by warpgroups (common/wgemm.cuh). The constants are those with which 570 launches, nanort tune's on an H100
/// 80GB HBM3 for models d12 to d32 and 1 to 16,384 tokens, came out best. Of the 2,437 in codegen/tuning/h100.json they
/// are off by 12 % on average, and what they choose takes 3 % longer than the best. The norm's are counts of
/// instructions and bytes.
static double wgemmUs(const DeviceModel &device, const Instance &instance) {
  constexpr double flopsPerUs = 885e6;                        // at the clock of short launches
  constexpr double sharedBytesPerUs = 230e3;                  // of an SM: products read while copies write
  constexpr double l2BytesPerUs = 11.4e6;                     // neighbours that fetch a tile at the same time share it
  constexpr double stageUs = 0.9;                             // from a stage's release until it is full again
  constexpr double splitUs = 0.1, usPerReceivedByte = 2.5e-5; // what a split adds
  constexpr double piecesUs = 11.5e-3, roundUs = 0.05;        // of squares: 12 tokens by three warps; a stage
  // Of the SMs, for more than two: a cluster lies in one GPC. (An H100's driver says 39, 30, 22, 17, 15 and 15 clusters
  // of 3 to 8 blocks if an SM holds one, and 79, 62, 47, 39, 32 and 30 if it holds two.)
  constexpr double inClusters = 0.9;
  const Values v(instance);
  const uint64_t tileM = v.param("tile_m"), tileN = v.param("tile_n"), stages = v.param("stages"),
                 split = v.param("split"), share = v.param("share"), element = sizeOf(instance.params.type("T"));
  const bool norm = v.param("norm", 0) != 0;
  const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
  const uint64_t cluster = split * share, clusters = std::max<uint64_t>(1, shape.grid[0] / cluster);
  const uint64_t units = ceilDiv(v.scalar("n"), tileM) * ceilDiv(v.param("N"), tileN * share);
  // Blocks of an SM, by threads' registers and shared memory.
  const uint64_t fit = std::max<uint64_t>(
      1, std::min<uint64_t>({4, 576 / shape.block[0], (device.blockShared + 1024) / (shape.sharedBytes + 1024)}));
  const uint64_t slots = cluster <= 2
                             ? device.sms * fit / cluster
                             : static_cast<uint64_t>(inClusters * device.sms * static_cast<double>(fit)) / cluster;
  const uint64_t together = std::clamp<uint64_t>(ceilDiv(shape.grid[0], device.sms), 1, fit);

  const uint64_t row = depth * element, products = tileN / 64 * (64 + tileM) * row, copies = (tileM + tileN) * row;
  const double shared = static_cast<double>(products + copies + (norm ? tileM / share * row : 0)) / sharedBytesPerUs;
  const double fromL2 = static_cast<double>((tileM / share + tileN) * row * device.sms) / l2BytesPerUs;
  const double busy =
      std::max({static_cast<double>(2 * tileM * tileN * depth * device.sms) / flopsPerUs, shared, fromL2});
  double step = std::max(busy * static_cast<double>(together),
                         stages > 1 ? stageUs / static_cast<double>(stages - 1) : stageUs + busy);
  if (norm)
    step = std::max(step, roundUs + piecesUs * static_cast<double>(ceilDiv(tileM / share, 12)));
  const uint64_t received = (split - 1) * ceilDiv(tileM / 8, split) * 8 * tileN * sizeof(float);
  return static_cast<double>(ceilDiv(units, clusters) * ceilDiv(clusters, slots)) *
         (static_cast<double>(ceilDiv(ceilDiv(v.param("K"), depth), split)) * step +
          usPerOutput * static_cast<double>(tileM * tileN * together) +
          (split > 1 ? splitUs + usPerReceivedByte * static_cast<double>(received) : 0));
}

/// What gemv saves of an early launch's price: its first weights are in registers when its producer is done.
constexpr double gemvLeadUs = 0.5;

/// Every block reads all of x, and multiplies by mma.sync.
static double gemvUs(const DeviceModel &device, double rate, const Instance &instance) {
  const Values v(instance);
  const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
  const uint64_t x = v.param("M") * v.param("K");
  return static_cast<double>(2 * x * v.param("N")) / rate +
         static_cast<double>(x * sizeOf(instance.params.type("T")) * shape.grid[0]) / device.l2BytesPerUs;
}

/// One prompt: later tiles of queries see more keys. The SMs share all steps evenly, as far as there are blocks for
/// them, but no block is shorter than its own. Without a limit on the blocks (attention_mma) there are as many as
/// items.
static double attentionUs(const DeviceModel &device, double rate, const Instance &instance) {
  const Values v(instance);
  const uint64_t queries = v.param("tile_q"), keys = v.param("tile_k"), dim = v.param("D");
  uint64_t total = 0, longest = 0;
  for (uint64_t end = queries; end < v.scalar("n") + queries; end += queries) {
    const uint64_t steps = ceilDiv(std::min(end, v.scalar("window") + queries), keys);
    total += steps * v.param("heads");
    longest = std::max(longest, steps);
  }
  const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
  const uint64_t room = uint64_t{device.sms} * residentBlocks(shape),
                 items = ceilDiv(v.scalar("n"), queries) * v.param("heads");
  const double used = std::min(1.0, static_cast<double>(shape.grid[0]) / static_cast<double>(std::min(items, room)));
  const double share = std::max(static_cast<double>(total) / device.sms / used, static_cast<double>(longest));
  return share * stepUs(device, rate, 4 * queries * keys * dim, 2 * keys * dim * sizeOf(instance.params.type("T")));
}

/// Decode attention. An H100 80GB HBM3 has shown, with d12, d20 and d32, 8 to 128 rows and clusters of 1 to 8, what a
/// block takes besides its tiles, and a round of them: of those 27 launches at 512 to 536 positions of 640 the
/// predictions, which count all 640, lie from 2 % below to 36 % above, but for one (d12, 8 rows, clusters of 4: 77 %).
/// Within a step the cluster that they choose was best or within 1 % of it. Of attention_batch: what a launch takes
/// besides, a warp's tile, a chunk, partial results that meet in memory, and the share of the bandwidth.
constexpr double decodeBlockUs = 2.0, decodeRoundUs = 1.4;
constexpr double batchFillUs = 1.6, batchTileUs = 1.7, batchChunkUs = 1.0, batchMeetUs = 5, batchShare = 0.95;

/// Blocks of a cluster take turns where not all are resident, and that overlaps with the keys' way from memory. In
/// attention_batch the SM with the most chunks takes longest, the last one's warp alone for half of it.
static double decodeUs(const DeviceModel &device, const Instance &instance, const Prediction &roofline) {
  namespace decode = kernels::attention_decode;
  const Values v(instance);
  const uint64_t heads = v.scalar("n") * v.param("kv_heads"), keys = std::min(v.scalar("window") + 1, v.param("ring"));
  const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
  const uint64_t warps = shape.block[0] / 32, tiles = decode::tilesOf(keys);
  const double all = std::max(roofline.bytesUs, roofline.flopsUs);
  if (const uint64_t cluster = v.param("cluster", 0)) {
    const uint64_t resident = std::clamp<uint64_t>((device.blockShared + 1024) / (shape.sharedBytes + 1024), 1, 4);
    const uint64_t turns = ceilDiv(heads * cluster, device.sms * resident),
                   rounds = ceilDiv(ceilDiv(tiles, cluster), warps);
    return std::hypot(all, static_cast<double>(turns) * (decodeBlockUs + static_cast<double>(rounds) * decodeRoundUs));
  }
  const uint64_t chunk = std::min(ceilDiv(v.param("chunk"), decode::tileSlots), tiles),
                 chunks = heads * ceilDiv(tiles, chunk);
  const double chunkUs = static_cast<double>(chunk) * batchTileUs;
  const auto each = static_cast<double>(ceilDiv(chunks, shape.grid[0] * warps));
  const double most = all * static_cast<double>(ceilDiv(chunks, device.sms) * device.sms) / static_cast<double>(chunks);
  return batchFillUs + std::max(most / batchShare, each * (chunkUs + batchChunkUs)) + chunkUs / 2 + batchMeetUs;
}

/// Of a launch on its own, with an early start where it can have one.
static Prediction rooflineOf(const DeviceModel &device, const Instance &instance, std::optional<bool> early) {
  const Family &family = *instance.family;
  const bool can = family.waitsItself && family.shape(instance.params, instance.scalars).sharedBytes <= halfSmShared;
  return predict(device, {family.cost(instance.params, instance.scalars),
                          usesTensorCores(family, instance.params, false), early.value_or(can)});
}

double predictUs(const DeviceModel &device, const Instance &instance) {
  return predictTilesUs(device, instance).value_or(rooflineOf(device, instance, std::nullopt).us());
}

std::optional<double> predictTilesUs(const DeviceModel &device, const Instance &instance, std::optional<bool> given) {
  const Family &family = *instance.family;
  const Values v(instance);
  const bool tensor = usesTensorCores(family, instance.params, false);
  const Prediction roofline = rooflineOf(device, instance, given);
  const double rate = !tensor                     ? device.f32FlopsPerUs
                      : family.target == "sm_90a" ? device.bf16FlopsPerUs
                                                  : device.bf16FlopsPerUs * device.warpMmaShare;
  // Waiting for memory and work overlap, but the less, the more of both there is.
  auto of = [&](double us) { return roofline.launchUs + std::hypot(roofline.bytesUs, std::max(roofline.flopsUs, us)); };
  if (v.param("tile_q", 0)) {
    constexpr double fillUs = 1.0; // until the first operands are there and after the last sums: a trip to memory each
    const double us = fillUs + attentionUs(device, rate, instance);
    // The cost counts every window as full, which would hide what the steps of attention_mma's tiles say.
    return roofline.launchUs + std::max({roofline.bytesUs, family.target.empty() ? 0 : roofline.flopsUs, us});
  }
  if (v.param("cluster", 0) || v.param("chunk", 0))
    return decodeUs(device, instance, roofline) + roofline.launchUs;
  if (v.param("split", 0))
    return of(wgemmUs(device, instance));
  if (v.param("tile_m", 0))
    return of(gemmUs(device, rate, tensor, instance));
  if (family.name.starts_with("gemv") && tensor)
    return roofline.us() - (roofline.launchUs < device.launchUs ? gemvLeadUs : 0) + gemvUs(device, rate, instance);
  return std::nullopt;
}

} // namespace codegen
