#include "runtime/tools/launches.h"

#include "codegen/Choices.h"

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

/// The verified kernel of a node, and its numbers in this launch.
struct Known {
  const kernels::Kernel *kernel;
  kernels::Values params, launch;
};
Known knownOf(const schema::Program &program, const schema::Node &node) {
  const schema::Kernel &kernel = *program.kernels()->Get(node.kernel());
  Known known{kernels::catalogue().kernel(kernel.meaning()->string_view(),
                                          kernel.engine() ? kernel.engine()->string_view() : std::string_view()),
              {},
              {}};
  for (const schema::Param *param : *kernel.params())
    known.params.set(param->name()->string_view(), param->value());
  std::vector<kernels::Scalar> scalars;
  for (uint32_t i = 0; i < node.args()->size(); ++i)
    if (isScalar(known.kernel->args[i].access))
      scalars.push_back({.i = node.args()->Get(i)->i32()}); // others shape no launch
  known.launch = known.kernel->launch(known.params, scalars);
  return known;
}

std::string tableOf(const schema::Program &program, const Nodes &nodes) {
  std::string table;
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const schema::Node &node = *nodes[i];
    const std::optional<kernels::Prediction> predicted = predict(program, node);
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

std::optional<kernels::Prediction> predict(const schema::Program &program, const schema::Node &node) {
  const auto device = kernels::deviceModel(program.target()->string_view());
  if (!device)
    return std::nullopt;
  const bool library = node.kind() == schema::NodeKind::Gemm;
  bool early = false;
  for (const schema::Edge *edge : *node.edges())
    early |= edge->kind() == schema::EdgeKind::Programmatic;
  const Known known = knownOf(program, node);
  const bool tensor =
      library ? known.params.type("T") == kernels::DType::BF16 : known.kernel->tensorCores(known.params);
  kernels::Prediction prediction = rooflineOf(*device, {node.bytes(), node.flops()}, tensor, early);
  if (known.kernel->engine)
    prediction.tilesUs = codegen::predict(*device, {known.kernel, known.params, known.launch}, early).tilesUs;
  return prediction;
}

std::string fallbackOf(const schema::Program &program, const schema::Node &node) {
  const Known known = knownOf(program, node);
  return known.kernel->fallback(known.params);
}

std::string locationOf(const schema::Node &node) { return node.location() ? node.location()->str() : "-"; }

std::string kernelOf(const schema::Program &program, const schema::Node &node) {
  return program.kernels()->Get(node.kernel())->name()->str() +
         (node.kind() == schema::NodeKind::Gemm ? " (cuBLASLt)" : "");
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
    const std::optional<kernels::Prediction> best = predict(program, node);
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
    const std::optional<kernels::Prediction> best = predict(program, node);
    predicted += best ? best->us() : 0;
    const std::optional<double> us = times.launches[i];
    launches.push_back({{"node", i},
                        {"kernel", program.kernels()->Get(node.kernel())->name()->str()},
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
