#include "kernels_templates/base/predict.h"
#include "kernels_templates/product/product.h"
#include "kernels_templates/product/stream_layout.h"

namespace kernels {

static_assert(StreamLayout::sms == findTarget("sm_90a")->sms && StreamLayout::room < leastBlockShared());

static std::string constraint(const Values &p) { return requireRange(p, "M", 1, StreamLayout::mostRows); }

static LaunchShape shape(const Values &v) {
  const StreamLayout layout(v["K"], v["N"], v["M"], static_cast<long long>(sizeOf(weightType(v))));
  return {.blocks = blocksFor(v.count("N"), static_cast<uint64_t>(layout.columns)),
          .threads = StreamLayout::threads,
          .sharedBytes = onTensorCores(v) ? static_cast<uint32_t>(layout.sharedBytes) : 0};
}

static std::vector<Values> candidates(const Kernel &, const Values &problem, const Target &) {
  if (problem["n"] > StreamLayout::mostRows)
    return {};
  return {{{"M", problem["n"]}}};
}

/// Every block reads all of x, and multiplies by mma.sync. An early launch saves some of its price: the first weights
/// are in registers when its producer is done.
static double predict(const LaunchToPredict &l) {
  constexpr double leadUs = 0.5;
  const double us = l.roofline.us();
  if (!l.tensorCores())
    return us;
  const uint64_t x = l.values.count("M") * l.values.count("K");
  return us - (l.roofline.launchUs < l.device.launchUs ? leadUs : 0) +
         static_cast<double>(2 * x * l.values.count("N")) / l.rate() +
         static_cast<double>(x * sizeOf(l.values.type("T")) * l.shape.blocks) / l.device.l2BytesPerUs;
}

const Engine productStream = {.name = "stream",
                              .header = "product/stream.cuh",
                              .body = "productStream",
                              .params = {{"M"}}, // rows of x: as many as n
                              .constraint = constraint,
                              .shape = shape,
                              .waitsItself = true,
                              .tensorCores = true,
                              .fallback = productFallback,
                              .candidates = candidates,
                              .predict = predict};

} // namespace kernels
