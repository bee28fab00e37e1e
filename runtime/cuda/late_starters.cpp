#include "runtime/cuda/late_starters.h"

namespace nanort::cuda {

namespace {

using Nodes = flatbuffers::Vector<flatbuffers::Offset<schema::Node>>;

struct Use {
  bool onEdge = false;
  int threads = 0; // of a block: the kernel's, for all launches
};

/// Of the kernels of nodes, whose edges count those of `before` first.
void note(const schema::Program &program, const Nodes &nodes, const Nodes *before, std::vector<Use> &uses) {
  const uint32_t first = before ? before->size() : 0;
  for (const schema::Node *node : nodes) {
    const auto *launch = node->work_as_Launch();
    if (!launch)
      continue;
    const auto &block = *launch->block();
    uses[launch->kernel()].threads = static_cast<int>(block[0] * block[1] * block[2]);
    for (const schema::Edge *edge : *node->edges()) {
      const uint32_t from = edge->from();
      if (edge->kind() == schema::EdgeKind::Programmatic)
        uses[launch->kernel()].onEdge =
            uses[kernelIndexOf(*(from < first ? before->Get(from) : nodes.Get(from - first)))].onEdge = true;
    }
  }
}

} // namespace

std::vector<std::string> lateStarters(const Device &device, const Modules &modules, const schema::Program &program) {
  std::vector<Use> uses(program.kernels()->size());
  for (const schema::Entry *entry : *program.entries()) {
    note(program, *entry->nodes(), nullptr, uses);
    for (uint32_t i = 0; entry->loops() && i < entry->loops()->size(); ++i) {
      const schema::Loop &loop = *entry->loops()->Get(i);
      note(program, *loop.nodes(), program.entries()->Get(loop.entry())->nodes(), uses);
    }
  }
  std::vector<std::string> lines;
  for (uint32_t i = 0; i < uses.size(); ++i) {
    if (!uses[i].onEdge)
      continue;
    const std::string name = "kernel " + program.kernels()->Get(i)->name()->str();
    int registers = 0;
    device.driver().check(device.driver().cuFuncGetAttribute(&registers, functionRegisters, modules.function(i)),
                          "cuFuncGetAttribute", name);
    if (registers * uses[i].threads > static_cast<int>(kernels::halfSmRegisters))
      lines.push_back(name + ": " + std::to_string(registers) + " registers for each of " +
                      std::to_string(uses[i].threads) +
                      " threads are more than half an SM: what follows it cannot start early");
  }
  return lines;
}

} // namespace nanort::cuda
