#include "runtime/measure/explain.h"

#include "runtime/report/format.h"

#include <algorithm>

namespace nanort {

namespace {

using Json = nlohmann::ordered_json;

/// Of one run, in microseconds; the step comes last.
std::vector<std::optional<double>> timesOf(const std::vector<LaunchTime> &run) {
  std::vector<std::optional<double>> times(run.size() + 1);
  uint64_t first = UINT64_MAX, before = 0; // the latest end so far
  for (const LaunchTime &launch : run)
    if (launch.end)
      first = std::min(first, launch.begin);
  if (first == UINT64_MAX)
    return times;
  before = first;
  auto until = [&](uint64_t moment) {
    const double us = moment > before ? static_cast<double>(moment - before) / 1e3 : 0;
    before = std::max(before, moment);
    return us;
  };
  for (size_t i = 0; i < run.size(); ++i) {
    if (!run[i].end)
      continue;
    if (i > 0 && !run[i - 1].end)
      times[i - 1] = until(run[i].begin);
    times[i] = until(run[i].end);
  }
  times.back() = static_cast<double>(before - first) / 1e3;
  return times;
}

std::optional<double> rate(const report::Launch &launch, std::optional<double> us) {
  return us && *us > 0 ? std::optional(static_cast<double>(launch.bytes) / *us / 1e3) : std::nullopt;
}

Json number(std::optional<double> value) { return value ? Json(*value) : Json(); }

} // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Achieved achieved(std::span<const std::vector<LaunchTime>> runs) {
  std::vector<std::vector<double>> samples;
  for (const std::vector<LaunchTime> &run : runs) {
    const std::vector<std::optional<double>> times = timesOf(run);
    samples.resize(times.size());
    for (size_t i = 0; i < times.size(); ++i)
      if (times[i])
        samples[i].push_back(*times[i]);
  }
  Achieved result;
  for (const std::vector<double> &values : samples)
    result.launches.push_back(values.empty() ? std::nullopt : std::optional(median(values)));
  if (!result.launches.empty()) {
    result.step = result.launches.back().value_or(0);
    result.launches.pop_back();
  }
  return result;
}

std::string explainText(const report::Entry &entry, const Achieved &times, size_t runs) {
  using report::decimal, report::left, report::right;
  double predicted = 0;
  std::string table;
  for (size_t i = 0; i < entry.launches.size(); ++i) {
    const report::Launch &launch = entry.launches[i];
    const std::optional<kernels::Prediction> &best = launch.predicted;
    predicted += best ? best->us() : 0;
    const std::optional<double> us = times.launches[i];
    auto column = [](std::optional<double> value, int digits, size_t width) {
      return right(decimal(value, digits, "-"), width);
    };
    table += right(std::to_string(i), 5) + column(us, 2, 9) +
             column(best ? std::optional(best->us()) : std::nullopt, 2, 11) + column(launch.bytes / 1e6, 3, 11) +
             column(rate(launch, us), 1, 9) +
             column(us && times.step > 0 ? std::optional(100 * *us / times.step) : std::nullopt, 1, 8) + "  " +
             left(launch.location.empty() ? "-" : launch.location, 17) + launch.text() + "\n";
  }
  return entry.name + " by launches with timers, median of " + std::to_string(runs) +
         " runs: " + decimal(times.step, 2, "") + " us, predicted " + decimal(predicted, 2, "") + " us\n" +
         " node       us  predicted   MB moved     GB/s  share %  location         kernel\n" + table;
}

Json explainJson(const report::Entry &entry, const Achieved &times) {
  Json launches = Json::array();
  double predicted = 0;
  for (size_t i = 0; i < entry.launches.size(); ++i) {
    const report::Launch &launch = entry.launches[i];
    const std::optional<kernels::Prediction> &best = launch.predicted;
    predicted += best ? best->us() : 0;
    const std::optional<double> us = times.launches[i];
    launches.push_back({{"node", i},
                        {"kernel", launch.kernel},
                        {"location", launch.location.empty() ? Json() : Json(launch.location)},
                        {"us", number(us)},
                        {"predicted_us", best ? Json(best->us()) : Json()},
                        {"bound", best ? Json(best->bound()) : Json()},
                        {"bytes", launch.bytes},
                        {"flops", launch.flops},
                        {"gb_s", number(rate(launch, us))},
                        {"tflop_s", us && *us > 0 ? Json(launch.flops / *us * 1e-6) : Json()},
                        {"share", us && times.step > 0 ? Json(*us / times.step) : Json()}});
  }
  return {{"batch", entry.table->rows()},
          {"entry", entry.name},
          {"step_us", times.step},
          {"predicted_us", predicted},
          {"launches", std::move(launches)}};
}

} // namespace nanort
