#include "compiler/analysis/Report.h"

#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/Launches.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nanocc;

/// With a fixed number of digits, so that the bytes of a report do not depend on a libm. Null for what nobody predicts.
static void decimal(llvm::json::OStream &json, StringRef key, std::optional<double> value) {
  json.attributeBegin(key);
  json.rawValue(value ? llvm::formatv("{0:F2}", *value).str() : "null");
  json.attributeEnd();
}

static void countsJson(llvm::json::OStream &json, const Counts &counts) {
  json.attribute("launches", counts.launches);
  json.attribute("bytes", counts.bytes);
  json.attribute("flops", counts.flops);
}

static void nodesJson(llvm::json::OStream &json, plan::ProgramOp program, ArrayRef<Operation *> nodes) {
  json.attributeArray("nodes", [&] {
    for (const LaunchCost &launch : launchesOf(program, nodes))
      json.object([&] {
        const std::optional<kernels::Prediction> &predicted = launch.predicted;
        auto part = [&](double kernels::Prediction::*us) {
          return predicted ? std::optional<double>(predicted.value().*us) : std::nullopt;
        };
        json.attribute("kernel", llvm::json::fixUTF8(launch.kernel));
        json.attribute("location", llvm::json::fixUTF8(launch.location));
        json.attribute("bytes", launch.bytes);
        json.attribute("flops", launch.flops);
        decimal(json, "predicted_us", predicted ? std::optional(predicted->us()) : std::nullopt);
        decimal(json, "memory_us", part(&kernels::Prediction::bytesUs));
        decimal(json, "compute_us", part(&kernels::Prediction::flopsUs));
        json.attribute("bound", predicted ? llvm::json::Value(predicted->bound()) : llvm::json::Value(nullptr));
        if (launch.onEarlyEdge) {
          json.attribute("leaves_half_sm", launch.leavesHalf());
          json.attribute("shared_bytes", launch.shared);
          if (launch.registers)
            json.attribute("registers", *launch.registers);
        }
        if (!launch.considered.empty())
          json.attributeArray("considered", [&] {
            for (const std::string &line : launch.considered)
              json.value(llvm::json::fixUTF8(line)); // a stage edited by hand may hold anything
          });
        if (!launch.fallback.empty())
          json.attribute("fallback", launch.fallback);
      });
  });
}

static void entryJson(llvm::json::OStream &json, plan::ProgramOp program, plan::EntryOp entry) {
  EntryCost cost = costOf(entry);
  json.attribute("name", entry.getSymName());
  json.attribute("kind", plan::stringifyEntryKind(entry.getKind()));
  json.attribute("batch", static_cast<int64_t>(entry.getRows()));
  json.attribute("tokens", static_cast<int64_t>(entry.getTokens()));
  json.attributeObject("eager", [&] { countsJson(json, cost.eager); });
  json.attributeObject("plan", [&] {
    countsJson(json, cost.plan);
    decimal(json, "predicted_us", cost.predictedUs);
  });
  nodesJson(json, program, nodesOf(entry));
  json.attributeArray("loops", [&] {
    for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>())
      json.object([&] {
        json.attribute("entry", loop.getEntry());
        nodesJson(json, program, ownNodesOf(loop));
      });
  });
}

static void programJson(llvm::json::OStream &json, plan::ProgramOp program) {
  json.object([&] {
    json.attribute("target", program.getSymName());
    json.attribute("precision", program.getPrecision());
    json.attributeArray("entries", [&] {
      for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
        json.object([&] { entryJson(json, program, entry); });
    });
    MemoryLine memory = memoryOf(program);
    json.attributeObject("memory", [&] {
      json.attribute("weights", memory.weights);
      json.attribute("constants", memory.tables);
      json.attribute("kv", memory.kv);
      json.attribute("state", memory.state);
      json.attribute("arena", memory.arena);
      json.attribute("workspace", memory.workspace);
      json.attribute("mapped", memory.mapped);
    });
  });
}

std::string nanocc::reportJson(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream json(stream);
  auto programs = llvm::to_vector(module.getOps<plan::ProgramOp>());
  if (programs.size() == 1)
    programJson(json, programs.front());
  else
    json.object([&] {
      json.attributeArray("programs", [&] {
        for (plan::ProgramOp program : programs)
          programJson(json, program);
      });
    });
  stream << '\n';
  return text;
}

/// A line per launch. Memory and compute are the roofline's two sides.
static void nodesText(raw_ostream &stream, plan::ProgramOp program, ArrayRef<Operation *> nodes) {
  for (auto [i, launch] : llvm::enumerate(launchesOf(program, nodes))) {
    auto us = [&](double kernels::Prediction::*part) {
      return launch.predicted ? llvm::formatv("{0:F2}", launch.predicted.value().*part).str() : "-";
    };
    stream << llvm::formatv(
        "  {0,5} {1,12:F3} {2,12:F4} {3,9} {4,9} {5,9} {6,-8} {7,-16} {8}\n", i, launch.bytes / 1e6, launch.flops / 1e9,
        launch.predicted ? llvm::formatv("{0:F2}", launch.predicted->us()).str() : "-",
        us(&kernels::Prediction::bytesUs), us(&kernels::Prediction::flopsUs),
        launch.predicted ? launch.predicted->bound() : "-", launch.location.empty() ? "-" : launch.location,
        launch.library ? launch.kernel + " (cuBLASLt)" : launch.kernel);
  }
}

/// What fast templates do not serve. Nothing for a program without such shapes.
static void fallbacksText(raw_ostream &stream, plan::ProgramOp program) {
  std::vector<Fallback> fallbacks = fallbacksOf(program);
  if (fallbacks.empty())
    return;
  stream << llvm::formatv("program {0}: shapes that fall back to a general template\n", program.getSymName());
  stream << llvm::formatv("  {0,8} {1,-40} {2}\n", "launches", "kernel", "why");
  for (const Fallback &fallback : fallbacks)
    stream << llvm::formatv("  {0,8} {1,-40} {2}\n", fallback.launches, fallback.kernel, fallback.reason);
}

/// What launches on programmatic edges take of an SM at most, and those that leave less than half of one.
static void edgesText(raw_ostream &stream, plan::ProgramOp program) {
  int64_t launches = 0, shared = 0;
  std::optional<int64_t> registers;
  llvm::StringSet<> known;
  std::string late;
  for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
    for (const LaunchCost &launch : launchesOf(program, nodesOf(entry))) {
      if (!launch.onEarlyEdge)
        continue;
      ++launches;
      shared = std::max(shared, launch.shared);
      if (launch.registers)
        registers = std::max(registers.value_or(0), *launch.registers);
      if (!launch.leavesHalf() && known.insert(launch.kernel).second)
        late += llvm::formatv("  {0}, first in {1}: {2} bytes, {3} registers: what follows it cannot start early\n",
                              launch.kernel, entry.getSymName(), launch.shared, launch.registers.value_or(0));
    }
  if (launches > 0)
    stream << llvm::formatv("program {0}: {1} launches on programmatic edges; their blocks take at most {2} bytes of "
                            "shared memory and {3} registers, half an SM has {4} and {5}\n",
                            program.getSymName(), launches, shared, registers ? std::to_string(*registers) : "?",
                            kernels::halfSmShared, kernels::halfSmRegisters)
           << late;
}

static void launchesText(raw_ostream &stream, plan::ProgramOp program) {
  for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
    stream << llvm::formatv("launches of {0}, program {1}\n", entry.getSymName(), program.getSymName());
    stream << llvm::formatv("  {0,5} {1,12} {2,12} {3,9} {4,9} {5,9} {6,-8} {7,-16} {8}\n", "node", "MB moved", "GFLOP",
                            "pred. us", "memory us", "flops us", "bound", "location", "kernel");
    nodesText(stream, program, nodesOf(entry));
    for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>()) {
      stream << llvm::formatv("  while {0}[{1}]: {2}, then\n", loop.getGo(), loop.getWord(), loop.getEntry());
      nodesText(stream, program, ownNodesOf(loop));
    }
  }
}

/// Once for every kernel and what it was weighed against.
static void choicesText(raw_ostream &stream, plan::ProgramOp program) {
  llvm::StringSet<> known;
  for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
    for (const LaunchCost &launch : launchesOf(program, nodesOf(entry))) {
      if (launch.considered.empty() || !known.insert(launch.kernel + llvm::join(launch.considered, "|")).second)
        continue;
      if (known.size() == 1)
        stream << llvm::formatv("choices of program {0}\n", program.getSymName());
      stream << llvm::formatv("  {0}, first in {1}\n", launch.kernel, entry.getSymName());
      for (auto [i, line] : llvm::enumerate(launch.considered))
        stream << (i == 0 ? "    chosen  " : "            ") << line << "\n";
    }
}

std::string nanocc::reportText(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>()) {
    stream << llvm::formatv("program {0}, {1}\n", program.getSymName(), program.getPrecision());
    stream << llvm::formatv("  {0,-18} {1,7} {2,6} {3,9} {4,9} {5,12} {6,12} {7,12} {8,14}\n", "entry", "tokens",
                            "rows", "launches", "unfused", "MB moved", "unfused", "GFLOP", "predicted us");
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
      EntryCost cost = costOf(entry);
      std::string predicted = cost.predictedUs ? llvm::formatv("{0:F1}", *cost.predictedUs).str() : "-";
      stream << llvm::formatv("  {0,-18} {1,7} {2,6} {3,9} {4,9} {5,12:F2} {6,12:F2} {7,12:F3} {8,14}\n",
                              entry.getSymName(), entry.getTokens(), entry.getRows(), cost.plan.launches,
                              cost.eager.launches, cost.plan.bytes / 1e6, cost.eager.bytes / 1e6, cost.plan.flops / 1e9,
                              predicted);
    }
    MemoryLine memory = memoryOf(program);
    stream << llvm::formatv(
        "  bytes: weights {0}, constants {1}, kv {2}, state {3}, arena {4}, workspace {5}, mapped {6}\n",
        memory.weights, memory.tables, memory.kv, memory.state, memory.arena, memory.workspace, memory.mapped);
  }
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    fallbacksText(stream, program);
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    edgesText(stream, program);
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    launchesText(stream, program);
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
    choicesText(stream, program);
  return text;
}
