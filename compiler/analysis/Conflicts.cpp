#include "compiler/analysis/Conflicts.h"

#include "codegen/MachineCode.h"
#include "kernels_templates/base/catalogue.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace nanocc;

std::vector<Operation *> nanocc::nodesOf(plan::EntryOp entry) {
  std::vector<Operation *> nodes;
  for (Operation &op : entry.getBody().front())
    if (!isa<plan::WhileOp>(op))
      nodes.push_back(&op);
  return nodes;
}

std::vector<Operation *> nanocc::nodesOf(plan::WhileOp loop) {
  auto program = loop->getParentOfType<plan::ProgramOp>();
  std::vector<Operation *> nodes =
      nodesOf(SymbolTable::lookupNearestSymbolFrom<plan::EntryOp>(program, loop.getEntryAttr()));
  llvm::append_range(nodes, ownNodesOf(loop));
  return nodes;
}

std::vector<Operation *> nanocc::ownNodesOf(plan::WhileOp loop) {
  std::vector<Operation *> nodes;
  for (Operation &op : loop.getBody().front())
    nodes.push_back(&op);
  return nodes;
}

std::vector<std::vector<Access>> nanocc::accessesOf(ArrayRef<Operation *> nodes) {
  if (nodes.empty())
    return {};
  SymbolTable symbols(nodes.front()->getParentOfType<plan::ProgramOp>());
  std::vector<std::vector<Access>> result;
  for (Operation *node : nodes) {
    std::vector<Access> accesses;
    auto kernel = symbols.lookup<plan::KernelOp>(node->getAttrOfType<FlatSymbolRefAttr>("kernel").getValue());
    const kernels::Kernel *known =
        kernels::catalogue().kernel(kernel.getMeaning().str(), kernel.getEngine().value_or("").str());
    for (auto [i, arg] : llvm::enumerate(node->getAttrOfType<ArrayAttr>("args"))) {
      auto name = dyn_cast<FlatSymbolRefAttr>(arg);
      if (!name)
        continue;
      auto buffer = symbols.lookup<plan::BufferOp>(name.getValue());
      int64_t offset = buffer.getOffset().value_or(0);
      bool writes = !known || i >= known->args.size() || known->args[i].access != kernels::Access::In;
      accesses.push_back({buffer.getSpace(), offset, offset + buffer.getBytes(), writes});
    }
    // All library calls share the workspace.
    if (isa<plan::GemmOp>(node))
      accesses.push_back({plan::Space::Workspace, 0, INT64_MAX, true});
    result.push_back(std::move(accesses));
  }
  return result;
}

bool nanocc::conflict(const std::vector<Access> &a, const std::vector<Access> &b) {
  for (const Access &x : a)
    for (const Access &y : b)
      if ((x.writes || y.writes) && x.space == y.space && x.begin < y.end && y.begin < x.end)
        return true;
  return false;
}

ArrayRef<int32_t> nanocc::afterOf(Operation *node) {
  auto after = node->getAttrOfType<DenseI32ArrayAttr>("after");
  return after ? after.asArrayRef() : ArrayRef<int32_t>();
}

bool nanocc::fitsHalfSm(plan::LaunchOp launch) { return static_cast<int64_t>(launch.getShared()) <= halfSmSharedBytes; }

std::optional<int64_t> nanocc::blockRegisters(plan::LaunchOp launch) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<plan::KernelOp>(launch, launch.getKernelAttr());
  auto cubin =
      kernel ? dyn_cast_or_null<DenseResourceElementsAttr>(kernel.getCubinAttr()) : DenseResourceElementsAttr();
  if (!cubin || !cubin.getRawHandle().getBlob())
    return std::nullopt;
  ArrayRef<char> bytes = cubin.getData();
  const std::optional<uint32_t> registers = codegen::registersOf({bytes.data(), bytes.size()});
  if (!registers)
    return std::nullopt;
  ArrayRef<int32_t> block = launch.getBlock();
  return int64_t{*registers} * block[0] * block[1] * block[2];
}

bool nanocc::isOnProgrammaticEdge(ArrayRef<Operation *> nodes, size_t index) {
  auto early = [](Operation *node) {
    auto edges = node->getAttrOfType<DenseI32ArrayAttr>("programmatic");
    return edges ? edges.asArrayRef() : ArrayRef<int32_t>();
  };
  return !early(nodes[index]).empty() || llvm::any_of(nodes, [&](Operation *node) {
    return llvm::is_contained(early(node), static_cast<int32_t>(index));
  });
}

std::vector<llvm::BitVector> nanocc::ancestorsOf(ArrayRef<Operation *> nodes) {
  std::vector<llvm::BitVector> ancestors;
  for (Operation *node : nodes) {
    llvm::BitVector mine(ancestors.size());
    for (int32_t before : afterOf(node))
      if (before >= 0 && static_cast<size_t>(before) < ancestors.size()) {
        mine |= ancestors[before];
        mine.set(before);
      }
    ancestors.push_back(std::move(mine));
  }
  return ancestors;
}
