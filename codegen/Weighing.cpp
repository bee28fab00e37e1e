#include "codegen/Weighing.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

namespace codegen {

// Within a step, on an H100, ...
/// one that takes a whole SM can start early no more, nor can what follows (d20's c_proj of 128 rows: alone 9.8 us, and
/// 9.9 in half an SM, within a step 3 us more);
constexpr double wholeUs = 1.5;
/// of those this close, the one of which an SM holds more blocks leaves its neighbours more room to start early (d12's
/// q/k/v of one row: 2.72 us by wgmma and 2.79 by stream, within a step 3.6 and 2.7);
constexpr double closeUs = 0.35;
/// and of those within this share of the least, that of smaller clusters finds room sooner, if it leaves as much and
/// has no fewer blocks (d20's logits of 128 rows: alone 73.5 us in clusters of two and 74.3 without, within a step 16
/// us more).
constexpr double nearShare = 0.02;

std::string Weighed::text() const {
  char time[64];
  std::snprintf(time, sizeof time, ": %.2f us %s", us, measured ? "measured" : "predicted");
  return choice.text() + time;
}

bool isShorter(const Weighed &a, const Weighed &b) {
  return std::tuple(!a.measured, a.us) < std::tuple(!b.measured, b.us);
}

Weighed weigh(const Problem &problem, Choice choice, std::string_view target, const Measured &measured) {
  std::string why;
  const Instance instance = *instanceOf(problem, choice, target, why);
  const kernels::LaunchShape shape = instance.shape();
  if (const std::optional<double> us = measured(problem, choice))
    return {std::move(choice), *us, true, shape};
  return {std::move(choice), predict(*kernels::findTarget(target), instance).us(), false, shape};
}

std::vector<Weighed> weighAll(const Problem &problem, const std::vector<Choice> &choices, std::string_view target,
                              const Measured &measured) {
  std::vector<Weighed> weighed;
  for (const Choice &choice : choices)
    weighed.push_back(weigh(problem, choice, target, measured));
  std::stable_sort(weighed.begin(), weighed.end(), isShorter);
  if (weighed.empty() || !weighed.front().measured)
    return weighed;

  auto within = [](const Weighed &w) { return w.us + (w.leavesHalf() ? 0 : wholeUs); };
  const auto end = std::find_if(weighed.begin(), weighed.end(), [](const Weighed &w) { return !w.measured; });
  double least = within(weighed.front());
  for (auto w = weighed.begin(); w != end; ++w)
    least = std::min(least, within(*w));
  const uint32_t memory = kernels::findTarget(target)->blockShared + 1024;
  auto resident = [&](const Weighed &w) { return memory / (w.shape.sharedBytes + 1024); };
  auto key = [&](const Weighed &w) {
    const bool close = within(w) <= least + closeUs;
    return std::tuple(!close, close ? -static_cast<int64_t>(resident(w)) : 0, within(w));
  };
  auto best =
      std::min_element(weighed.begin(), end, [&](const Weighed &a, const Weighed &b) { return key(a) < key(b); });
  if (best != weighed.begin())
    best->reason = within(*best) > least ? "nearly as short, more blocks fit an SM" : "leaves half an SM";
  for (auto fastest = best, other = weighed.begin(); other != end; ++other)
    if (within(*other) <= least * (1 + nearShare) && other->leavesHalf() && resident(*other) >= resident(*fastest) &&
        other->shape.blocks >= fastest->shape.blocks && other->shape.cluster < best->shape.cluster) {
      best = other; // the first of a size is the fastest
      best->reason = best == weighed.begin() ? "" : "nearly as short, in smaller clusters";
    }
  std::rotate(weighed.begin(), best, best + 1);
  return weighed;
}

} // namespace codegen
