#include "runtime/report/program.h"

#include "codegen/Choices.h"
#include "codegen/MachineCode.h"
#include "runtime/plan/machine_code.h"

#include <algorithm>

namespace nanort::report {

namespace {

using Nodes = flatbuffers::Vector<flatbuffers::Offset<schema::Node>>;

std::vector<kernels::Scalar> scalarsOf(const kernels::Kernel &kernel, const schema::Node &node) {
  std::vector<kernels::Scalar> scalars;
  const auto &args = argumentsOf(node);
  for (uint32_t i = 0; i < args.size(); ++i)
    if (isScalar(kernel.args[i].access))
      scalars.push_back({.i = args[i]->i32()}); // others shape no launch
  return scalars;
}

bool startsEarly(const schema::Node &node) {
  return std::any_of(node.edges()->begin(), node.edges()->end(),
                     [](const schema::Edge *edge) { return edge->kind() == schema::EdgeKind::Programmatic; });
}

/// Of a block of the launch; nullopt without machine code, which alone knows.
std::optional<uint64_t> registersOf(std::span<const char> code, const schema::Launch &launch) {
  if (code.empty() || !launch.block())
    return std::nullopt;
  const std::optional<uint32_t> registers = codegen::registersOf(code);
  if (!registers)
    return std::nullopt;
  const auto &block = *launch.block();
  return uint64_t{*registers} * block[0] * block[1] * block[2];
}

class Describer {
public:
  Describer(const Plan &plan, uint32_t index)
      : program(plan.program(index)), code(plan, index), kernels(plan.kernels(index)),
        device(kernels::findTarget(program.target()->string_view())) {}

  Program run() const {
    Program result{&program, program.target()->str(), program.precision()->str(), {}, memory()};
    for (const schema::Entry *entry : *program.entries()) {
      Entry &made = result.entries.emplace_back();
      made.table = entry;
      made.name = entry->name()->str();
      made.launches = launches(*entry->nodes(), 0);
      for (uint32_t i = 0; entry->loops() && i < entry->loops()->size(); ++i) {
        const schema::Loop &loop = *entry->loops()->Get(i);
        const schema::Entry &repeated = *program.entries()->Get(loop.entry());
        made.loops.push_back({repeated.name()->str(), program.buffers()->Get(loop.go())->name()->str(), loop.word(),
                              launches(*loop.nodes(), repeated.nodes()->size())});
      }
    }
    for (Entry &entry : result.entries)
      if (entry.loops.empty())
        count(entry, result);
    for (Entry &entry : result.entries) // once what they repeat is counted
      if (!entry.loops.empty())
        count(entry, result);
    return result;
  }

private:
  const schema::Program &program;
  const MachineCode code;
  const std::vector<KernelInstance> &kernels;
  const kernels::Target *device; // null: the CPU

  /// Edges count `first` nodes before these.
  std::vector<Launch> launches(const Nodes &nodes, uint32_t first) const {
    std::vector<Launch> made;
    for (const schema::Node *node : nodes)
      made.push_back(launch(*node));
    for (uint32_t i = 0; i < nodes.size(); ++i)
      for (const schema::Edge *edge : *nodes[i]->edges())
        if (edge->kind() == schema::EdgeKind::Programmatic) {
          made[i].onEarlyEdge = true;
          if (edge->from() >= first)
            made[edge->from() - first].onEarlyEdge = true;
        }
    return made;
  }

  Launch launch(const schema::Node &node) const {
    const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(node));
    const auto &[known, params, hasImage] = kernels[kernelIndexOf(node)];
    Launch made;
    made.kernel = kernel.name()->str();
    made.location = node.location() ? node.location()->str() : "";
    made.library = node.work_as_Library() != nullptr;
    made.bytes = node.bytes();
    made.flops = node.flops();
    if (node.considered())
      for (const flatbuffers::String *line : *node.considered())
        made.considered.push_back(line->str());
    if (const auto *own = node.work_as_Launch()) {
      made.shared = own->shared_bytes();
      made.registers = registersOf(code.of(kernel), *own);
    }
    made.fallback = known->fallback(params);
    if (device) {
      const bool early = startsEarly(node);
      const bool tensor = made.library ? params.type("T") == kernels::DType::BF16 : known->tensorCores(params);
      made.predicted = rooflineOf(*device, {made.bytes, made.flops}, tensor, early);
      if (known->engine)
        made.predicted->tilesUs =
            codegen::predict(*device, {known, params, known->launch(params, scalarsOf(*known, node))}, early).tilesUs;
    }
    return made;
  }

  static void add(Counts &to, const Counts &counts) {
    to.launches += counts.launches;
    to.bytes += counts.bytes;
    to.flops += counts.flops;
  }

  void count(Entry &entry, const Program &all) const {
    if (device)
      entry.predictedUs = 0;
    auto own = [&](const std::vector<Launch> &launches) {
      Counts counts;
      for (const Launch &launch : launches) {
        add(counts, {1, launch.bytes, launch.flops});
        if (launch.predicted)
          *entry.predictedUs += launch.predicted->us();
      }
      add(entry.planned, counts);
      return counts;
    };
    entry.eager = own(entry.launches);
    if (const schema::Counts *eager = entry.table->eager())
      entry.eager = {eager->launches(), eager->bytes(), eager->flops()};
    for (uint32_t i = 0; i < entry.loops.size(); ++i) {
      const Entry &repeated = all.entries[entry.table->loops()->Get(i)->entry()];
      add(entry.planned, repeated.planned);
      add(entry.eager, repeated.eager);
      if (device)
        *entry.predictedUs += *repeated.predictedUs;
      add(entry.eager, own(entry.loops[i].launches));
    }
  }

  Memory memory() const {
    const schema::Memory &bytes = *program.memory();
    Memory line;
    for (const schema::Constant *constant : *program.constants())
      if (constant->sources()->size() == 0)
        for (const schema::Part *part : *constant->parts())
          line.tables += (program.buffers()->Get(part->buffer())->bytes() + 255) / 256 * 256;
    line.weights = bytes.constants() - line.tables;
    line.kv = bytes.kv();
    line.state = bytes.state();
    line.arena = bytes.arena();
    line.workspace = bytes.workspace();
    line.mapped = bytes.mapped();
    return line;
  }
};

} // namespace

std::vector<Fallback> Program::fallbacks() const {
  std::vector<Fallback> list;
  auto add = [&](const std::vector<Launch> &launches) {
    for (const Launch &launch : launches) {
      if (launch.fallback.empty())
        continue;
      auto known =
          std::find_if(list.begin(), list.end(), [&](const Fallback &other) { return other.kernel == launch.kernel; });
      if (known == list.end())
        known = list.insert(known, {launch.kernel, launch.fallback, 0});
      ++known->launches;
    }
  };
  for (const Entry &entry : entries) {
    add(entry.launches);
    for (const Loop &loop : entry.loops)
      add(loop.launches);
  }
  return list;
}

Program describe(const Plan &plan, uint32_t program) { return Describer(plan, program).run(); }

std::vector<Program> describe(const Plan &plan) {
  std::vector<Program> programs;
  for (uint32_t i = 0; i < plan.root().programs()->size(); ++i)
    programs.push_back(describe(plan, i));
  return programs;
}

} // namespace nanort::report
