// Which nodes of an entry touch the same bytes.
#pragma once

#include "dialects/plan/Plan.h"
#include "kernels_templates/base/predict.h"

#include "llvm/ADT/BitVector.h"

#include <vector>

namespace nanocc {

/// Bytes that one node reads or writes.
struct Access {
  plan::Space space;
  int64_t begin, end;
  bool writes;
};

/// Nodes of an entry, without its loops.
std::vector<mlir::Operation *> nodesOf(plan::EntryOp entry);
/// What a loop repeats: the nodes of the entry that it names, then its own.
std::vector<mlir::Operation *> nodesOf(plan::WhileOp loop);
/// The latter alone.
std::vector<mlir::Operation *> ownNodesOf(plan::WhileOp loop);

/// Accesses of nodes that are placed, in order.
std::vector<std::vector<Access>> accessesOf(llvm::ArrayRef<mlir::Operation *> nodes);

/// True if the two nodes must not run at the same time: they share bytes and one of them writes.
bool conflict(const std::vector<Access> &a, const std::vector<Access> &b);

/// For every node, all nodes that its `after` edges put before it, transitively.
std::vector<llvm::BitVector> ancestorsOf(llvm::ArrayRef<mlir::Operation *> nodes);

/// The edges of a plan.launch or plan.gemm.
llvm::ArrayRef<int32_t> afterOf(mlir::Operation *node);

/// Half an SM of shared memory. Two launches that a programmatic edge joins keep to it, or the second could not become
/// resident beside the first (kernels_templates/cuda-rules.md, rule 6). Threads: a block has at most 1,024 anyway.
constexpr int64_t halfSmSharedBytes = kernels::halfSmShared;
bool fitsHalfSm(plan::LaunchOp launch);

/// Registers of a block of the launch; nullopt without machine code, which alone knows.
std::optional<int64_t> blockRegisters(plan::LaunchOp launch);
/// Whether the launch has a programmatic edge, to it or from it, among `nodes` of its entry.
bool isOnProgrammaticEdge(llvm::ArrayRef<mlir::Operation *> nodes, size_t index);

} // namespace nanocc
