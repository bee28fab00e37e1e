#include "runtime/report/format.h"
#include "runtime/report/report.h"

#include <algorithm>
#include <set>

namespace nanort::report {

namespace {

constexpr const char *entryRow = "  %-18s %7s %6s %9s %9s %12s %12s %12s %14s\n";

std::string number(uint64_t value) { return std::to_string(value); }

std::string nodesText(const std::vector<Launch> &launches, const std::string &indent, bool reasons) {
  std::string table;
  for (size_t i = 0; i < launches.size(); ++i) {
    const Launch &launch = launches[i];
    const std::optional<kernels::Prediction> &predicted = launch.predicted;
    auto us = [&](double value) { return decimal(predicted ? std::optional(value) : std::nullopt, 2, "-"); };
    table +=
        indent + formatted("%5zu %12.3f %12.4f %9s %9s %9s %-8s ", i, launch.bytes / 1e6, launch.flops / 1e9,
                           us(predicted ? predicted->us() : 0).c_str(), us(predicted ? predicted->bytesUs : 0).c_str(),
                           us(predicted ? predicted->flopsUs : 0).c_str(), predicted ? predicted->bound() : "-");
    table += left(launch.location.empty() ? "-" : launch.location, 16) + " " + launch.text();
    if (reasons && !launch.fallback.empty())
      table += " (general template: " + launch.fallback + ")";
    table += "\n";
  }
  return table;
}

std::string entriesText(const Program &program) {
  std::string table = "program " + program.target + ", " + program.precision + "\n";
  table += formatted(entryRow, "entry", "tokens", "rows", "launches", "unfused", "MB moved", "unfused", "GFLOP",
                     "predicted us");
  for (const Entry &entry : program.entries)
    table += formatted(entryRow, entry.name.c_str(), number(entry.table->tokens()).c_str(),
                       number(entry.table->rows()).c_str(), number(entry.planned.launches).c_str(),
                       number(entry.eager.launches).c_str(), decimal(entry.planned.bytes / 1e6, 2, "").c_str(),
                       decimal(entry.eager.bytes / 1e6, 2, "").c_str(),
                       decimal(entry.planned.flops / 1e9, 3, "").c_str(), decimal(entry.predictedUs, 1, "-").c_str());
  const Memory &memory = program.memory;
  return table + "  bytes: weights " + number(memory.weights) + ", constants " + number(memory.tables) + ", kv " +
         number(memory.kv) + ", state " + number(memory.state) + ", arena " + number(memory.arena) + ", workspace " +
         number(memory.workspace) + ", mapped " + number(memory.mapped) + "\n";
}

/// What fast templates do not serve. Nothing for a program without such shapes.
std::string fallbacksText(const Program &program) {
  const std::vector<Fallback> fallbacks = program.fallbacks();
  if (fallbacks.empty())
    return "";
  std::string text = "program " + program.target + ": shapes that fall back to a general template\n  " +
                     right("launches", 8) + " " + left("kernel", 40) + " why\n";
  for (const Fallback &fallback : fallbacks)
    text += "  " + right(number(fallback.launches), 8) + " " + left(fallback.kernel, 40) + " " + fallback.reason + "\n";
  return text;
}

/// What launches on programmatic edges take of an SM at most, and those that leave less than half of one.
std::string edgesText(const Program &program) {
  uint64_t launches = 0, shared = 0;
  std::optional<uint64_t> registers;
  std::set<std::string> known;
  std::string late;
  for (const Entry &entry : program.entries)
    for (const Launch &launch : entry.launches) {
      if (!launch.onEarlyEdge)
        continue;
      ++launches;
      shared = std::max(shared, launch.shared);
      if (launch.registers)
        registers = std::max(registers.value_or(0), *launch.registers);
      if (!launch.leavesHalf() && known.insert(launch.kernel).second)
        late += "  " + launch.kernel + ", first in " + entry.name + ": " + number(launch.shared) + " bytes, " +
                number(launch.registers.value_or(0)) + " registers: what follows it cannot start early\n";
    }
  if (launches == 0)
    return "";
  return "program " + program.target + ": " + number(launches) +
         " launches on programmatic edges; their blocks take at most " + number(shared) +
         " bytes of shared memory and " + (registers ? number(*registers) : "?") + " registers, half an SM has " +
         number(kernels::halfSmShared) + " and " + number(kernels::halfSmRegisters) + "\n" + late;
}

std::string launchesText(const Program &program) {
  std::string text;
  for (const Entry &entry : program.entries)
    text += "launches of " + entry.name + ", program " + program.target + "\n" + launchTable(entry, "  ", false);
  return text;
}

/// Once for every kernel and what it was weighed against.
std::string choicesText(const Program &program) {
  std::set<std::pair<std::string, std::vector<std::string>>> known;
  std::string text;
  for (const Entry &entry : program.entries)
    for (const Launch &launch : entry.launches) {
      if (launch.considered.empty() || !known.emplace(launch.kernel, launch.considered).second)
        continue;
      if (known.size() == 1)
        text += "choices of program " + program.target + "\n";
      text += "  " + launch.kernel + ", first in " + entry.name + "\n";
      for (size_t i = 0; i < launch.considered.size(); ++i)
        text += (i == 0 ? "    chosen  " : "            ") + launch.considered[i] + "\n";
    }
  return text;
}

} // namespace

std::string launchTable(const Entry &entry, const std::string &indent, bool reasons) {
  std::string table = indent + formatted("%5s %12s %12s %9s %9s %9s %-8s %-16s %s\n", "node", "MB moved", "GFLOP",
                                         "pred. us", "memory us", "flops us", "bound", "location", "kernel");
  table += nodesText(entry.launches, indent, reasons);
  for (const Loop &loop : entry.loops)
    table += indent + loop.text() + ", then\n" + nodesText(loop.launches, indent, reasons);
  return table;
}

std::string text(const Plan &plan) {
  const std::vector<Program> programs = describe(plan);
  std::string text;
  for (auto *part : {entriesText, fallbacksText, edgesText, launchesText, choicesText})
    for (const Program &program : programs)
      text += part(program);
  return text;
}

} // namespace nanort::report
