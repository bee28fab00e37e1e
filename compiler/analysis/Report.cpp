#include "compiler/analysis/Report.h"

#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/DeviceModel.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nanocc;

namespace {

struct EntryCost {
  int64_t launches = 0, bytes = 0, flops = 0;
  double predictedUs = 0;
};

/// Of a generate entry: with every loop run once, for a prompt of one chunk and one decode step.
EntryCost costOf(plan::EntryOp entry, const std::optional<DeviceModel> &device, bool bf16) {
  EntryCost cost;
  std::vector<Operation *> nodes = nodesOf(entry);
  for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>())
    llvm::append_range(nodes, nodesOf(loop));
  for (Operation *node : nodes) {
    int64_t bytes = node->getAttrOfType<IntegerAttr>("bytes").getInt();
    int64_t flops = node->getAttrOfType<IntegerAttr>("flops").getInt();
    ++cost.launches;
    cost.bytes += bytes;
    cost.flops += flops;
    if (device) {
      double rate = bf16 && isa<plan::GemmOp>(node) ? device->bf16FlopsPerUs : device->f32FlopsPerUs;
      cost.predictedUs += std::max(bytes / device->bytesPerUs, flops / rate) + device->launchUs;
    }
  }
  return cost;
}

struct MemoryLine {
  int64_t weights = 0, tables = 0, kv = 0, state = 0, arena = 0, workspace = 0, mapped = 0;
};

/// Constants split into what comes from the weights file and what is computed.
MemoryLine memoryOf(plan::ProgramOp program) {
  MemoryLine line;
  auto bytes = [&](StringRef name) { return program.getMemory()->getAs<IntegerAttr>(name).getInt(); };
  SymbolTable symbols(program);
  for (plan::ConstantOp constant : program.getOps<plan::ConstantOp>())
    if (isa<plan::RopeStepAttr>(constant.getSteps()[0]))
      line.tables += (symbols.lookup<plan::BufferOp>(constant.getBuffer()).getBytes() + 255) / 256 * 256;
  line.weights = bytes("constants") - line.tables;
  line.kv = bytes("kv");
  line.state = bytes("state");
  line.arena = bytes("arena");
  line.workspace = bytes("workspace");
  if (program.getMemory()->contains("mapped"))
    line.mapped = bytes("mapped");
  return line;
}

} // namespace

static void programJson(llvm::json::OStream &json, plan::ProgramOp program) {
  std::optional<DeviceModel> device = deviceModel(program.getSymName());
  json.object([&] {
    json.attribute("target", program.getSymName());
    json.attribute("precision", program.getPrecision());
    json.attributeArray("entries", [&] {
      for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
        json.object([&] {
          EntryCost cost = costOf(entry, device, program.getPrecision() == "bf16");
          json.attribute("name", entry.getSymName());
          json.attribute("kind", plan::stringifyEntryKind(entry.getKind()));
          json.attribute("batch", static_cast<int64_t>(entry.getRows()));
          json.attribute("tokens", static_cast<int64_t>(entry.getTokens()));
          auto totals = [&] {
            json.attribute("launches", cost.launches);
            json.attribute("bytes", cost.bytes);
            json.attribute("flops", cost.flops);
          };
          // One launch per operation is what the plan holds: there is no fusion yet that would tell them apart.
          json.attributeObject("eager", totals);
          json.attributeObject("plan", [&] {
            totals();
            // Rounded, so that the bytes of the report do not depend on a libm.
            if (device)
              json.attribute("predicted_us", std::round(cost.predictedUs * 10) / 10);
            else
              json.attribute("predicted_us", nullptr);
          });
        });
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

std::string nanocc::reportText(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (plan::ProgramOp program : module.getOps<plan::ProgramOp>()) {
    std::optional<DeviceModel> device = deviceModel(program.getSymName());
    stream << llvm::formatv("program {0}, {1}\n", program.getSymName(), program.getPrecision());
    stream << llvm::formatv("  {0,-16} {1,7} {2,6} {3,9} {4,12} {5,12} {6,14}\n", "entry", "tokens", "rows", "launches",
                            "MB moved", "GFLOP", "predicted us");
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
      EntryCost cost = costOf(entry, device, program.getPrecision() == "bf16");
      std::string predicted = device ? llvm::formatv("{0:F1}", cost.predictedUs).str() : "-";
      stream << llvm::formatv("  {0,-16} {1,7} {2,6} {3,9} {4,12:F2} {5,12:F3} {6,14}\n", entry.getSymName(),
                              entry.getTokens(), entry.getRows(), cost.launches, cost.bytes / 1e6, cost.flops / 1e9,
                              predicted);
    }
    MemoryLine memory = memoryOf(program);
    stream << llvm::formatv(
        "  bytes: weights {0}, constants {1}, kv {2}, state {3}, arena {4}, workspace {5}, mapped {6}\n",
        memory.weights, memory.tables, memory.kv, memory.state, memory.arena, memory.workspace, memory.mapped);
  }
  return text;
}
