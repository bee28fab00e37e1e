#include "runtime/tools/launches.h"

#include "codegen/Choices.h"
#include "codegen/Registry.h"

#include <algorithm>
#include <cstdio>

namespace nanort::tools {

namespace {

using Json = nlohmann::ordered_json;
using Nodes = flatbuffers::Vector<flatbuffers::Offset<schema::Node>>;

std::string fixed(std::optional<double> value, int digits) {
  if (!value)
    return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, *value);
  return text;
}

std::string right(const std::string &text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}
std::string left(const std::string &text, size_t width) {
  return text.size() < width ? text + std::string(width - text.size(), ' ') : text;
}

kernels::Params paramsOf(const schema::Kernel &kernel) {
  kernels::Params params;
  for (const schema::Param *param : *kernel.params())
    params.values.emplace_back(param->name()->str(), param->value());
  return params;
}

std::vector<kernels::Scalar> scalarsOf(const kernels::Family &family, const schema::Node &node) {
  std::vector<kernels::Scalar> scalars;
  for (uint32_t i = 0; i < argumentsOf(node).size(); ++i)
    if (isScalar(family.args[i].kind))
      scalars.push_back({.i = argumentsOf(node)[i]->i32()}); // others shape no launch
  return scalars;
}

std::string tableOf(const schema::Program &program, const Nodes &nodes) {
  std::string table;
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const schema::Node &node = *nodes[i];
    const std::optional<codegen::Prediction> predicted = predict(program, node);
    auto us = [&](double value) { return fixed(predicted ? std::optional(value) : std::nullopt, 2); };
    const std::string fallback = fallbackOf(program, node);
    table += "    " + right(std::to_string(i), 5) + right(fixed(node.bytes() / 1e6, 3), 13) +
             right(fixed(node.flops() / 1e9, 4), 13) + right(us(predicted ? predicted->us() : 0), 10) +
             right(us(predicted ? predicted->bytesUs : 0), 11) + right(us(predicted ? predicted->flopsUs : 0), 10) +
             "  " + left(predicted ? predicted->bound() : "-", 8) + left(locationOf(node), 17) +
             kernelOf(program, node) + (fallback.empty() ? "" : " (general template: " + fallback + ")") + "\n";
  }
  return table;
}

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

std::optional<double> rate(const schema::Node &node, std::optional<double> us) {
  return us && *us > 0 ? std::optional(static_cast<double>(node.bytes()) / *us / 1e3) : std::nullopt;
}

Json number(std::optional<double> value) { return value ? Json(*value) : Json(); }

} // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::optional<codegen::Prediction> predict(const schema::Program &program, const schema::Node &node) {
  const auto device = codegen::deviceModel(program.target()->string_view());
  if (!device)
    return std::nullopt;
  const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(node));
  const bool library = node.work_as_Library();
  bool early = false;
  for (const schema::Edge *edge : *node.edges())
    early |= edge->kind() == schema::EdgeKind::Programmatic;
  const kernels::Family &family = *codegen::findFamily(kernel.family()->string_view());
  const kernels::Params params = paramsOf(kernel);
  codegen::Prediction prediction = codegen::predict(
      *device, {{node.bytes(), node.flops()}, codegen::usesTensorCores(family, params, library), early});
  if (!library)
    prediction.tilesUs =
        codegen::predictTilesUs(*device, {&family, params, scalarsOf(family, node)}, early).value_or(0);
  return prediction;
}

std::string fallbackOf(const schema::Program &program, const schema::Node &node) {
  if (program.target()->string_view() == "cpu" || node.work_as_Library())
    return "";
  const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(node));
  return kernels::fallbackOf(*codegen::findFamily(kernel.family()->string_view()), paramsOf(kernel));
}

std::string locationOf(const schema::Node &node) { return node.location() ? node.location()->str() : "-"; }

std::string kernelOf(const schema::Program &program, const schema::Node &node) {
  return program.kernels()->Get(kernelIndexOf(node))->name()->str() + (node.work_as_Library() ? " (cuBLASLt)" : "");
}

std::string launchTable(const schema::Program &program, const schema::Entry &entry) {
  std::string table =
      "     node     MB moved        GFLOP  pred. us  memory us  flops us  bound   location         kernel\n" +
      tableOf(program, *entry.nodes());
  for (uint32_t i = 0; entry.loops() && i < entry.loops()->size(); ++i) {
    const schema::Loop &loop = *entry.loops()->Get(i);
    table += "    while " + program.buffers()->Get(loop.go())->name()->str() + "[" + std::to_string(loop.word()) +
             "]: " + program.entries()->Get(loop.entry())->name()->str() + ", then\n" + tableOf(program, *loop.nodes());
  }
  return table;
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

std::string explainText(const schema::Program &program, const schema::Entry &entry, const Achieved &times,
                        size_t runs) {
  double predicted = 0;
  std::string table;
  for (uint32_t i = 0; i < entry.nodes()->size(); ++i) {
    const schema::Node &node = *entry.nodes()->Get(i);
    const std::optional<codegen::Prediction> best = predict(program, node);
    predicted += best ? best->us() : 0;
    const std::optional<double> us = times.launches[i];
    table += right(std::to_string(i), 5) + right(fixed(us, 2), 9) +
             right(fixed(best ? std::optional(best->us()) : std::nullopt, 2), 11) +
             right(fixed(node.bytes() / 1e6, 3), 11) + right(fixed(rate(node, us), 1), 9) +
             right(fixed(us && times.step > 0 ? std::optional(100 * *us / times.step) : std::nullopt, 1), 8) + "  " +
             left(locationOf(node), 17) + kernelOf(program, node) + "\n";
  }
  return entry.name()->str() + " by launches with timers, median of " + std::to_string(runs) +
         " runs: " + fixed(times.step, 2) + " us, predicted " + fixed(predicted, 2) + " us\n" +
         " node       us  predicted   MB moved     GB/s  share %  location         kernel\n" + table;
}

Json explainJson(const schema::Program &program, const schema::Entry &entry, const Achieved &times) {
  Json launches = Json::array();
  double predicted = 0;
  for (uint32_t i = 0; i < entry.nodes()->size(); ++i) {
    const schema::Node &node = *entry.nodes()->Get(i);
    const std::optional<codegen::Prediction> best = predict(program, node);
    predicted += best ? best->us() : 0;
    const std::optional<double> us = times.launches[i];
    launches.push_back({{"node", i},
                        {"kernel", program.kernels()->Get(kernelIndexOf(node))->name()->str()},
                        {"location", node.location() ? Json(node.location()->str()) : Json()},
                        {"us", number(us)},
                        {"predicted_us", best ? Json(best->us()) : Json()},
                        {"bound", best ? Json(best->bound()) : Json()},
                        {"bytes", node.bytes()},
                        {"flops", node.flops()},
                        {"gb_s", number(rate(node, us))},
                        {"tflop_s", us && *us > 0 ? Json(node.flops() / *us * 1e-6) : Json()},
                        {"share", us && times.step > 0 ? Json(*us / times.step) : Json()}});
  }
  return {{"batch", entry.rows()},
          {"entry", entry.name()->str()},
          {"step_us", times.step},
          {"predicted_us", predicted},
          {"launches", std::move(launches)}};
}

} // namespace nanort::tools
