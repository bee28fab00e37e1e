// What a plan must be before it is written.
#include "compiler/analysis/Conflicts.h"
#include "compiler/passes/Passes.h"

#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "plan-verify"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANVERIFY
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct PlanVerifyPass : nanocc::impl::PlanVerifyBase<PlanVerifyPass> {
  void runOnOperation() override {
    WalkResult walk = getOperation().walk([](Operation *op) -> WalkResult {
      if (auto program = dyn_cast<plan::ProgramOp>(op))
        return failed(verify(program)) ? WalkResult::interrupt() : WalkResult::advance();
      LogicalResult result = success();
      if (auto entry = dyn_cast<plan::EntryOp>(op)) {
        result = verify(nodesOf(entry));
        if (entry.getKind() == plan::EntryKind::Decode)
          remarkRegisters(nodesOf(entry));
      } else if (auto loop = dyn_cast<plan::WhileOp>(op))
        result = verify(nodesOf(loop));
      if (failed(result))
        return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }

  static int64_t bytesOf(plan::ProgramOp program, plan::Space space) {
    StringRef names[] = {"constants", "kv", "state", "arena", "workspace", "mapped"};
    auto bytes = program.getMemory()->getAs<IntegerAttr>(names[static_cast<int>(space)]);
    return bytes ? bytes.getInt() : 0; // a program without loops has no mapped memory
  }

  static LogicalResult verify(plan::ProgramOp program) {
    if (!program.getMemory())
      return program.emitOpError("has no memory: plan-place-memory must run first");
    SmallVector<plan::BufferOp> buffers;
    for (plan::BufferOp buffer : program.getOps<plan::BufferOp>()) {
      buffers.push_back(buffer);
      if (!buffer.getOffset())
        return buffer.emitOpError("has no offset: plan-place-memory must run first");
      if (static_cast<int64_t>(*buffer.getOffset()) + buffer.getBytes() > bytesOf(program, buffer.getSpace()))
        return buffer.emitOpError() << "ends beyond the " << bytesOf(program, buffer.getSpace())
                                    << " bytes of its space";
    }
    // By offset, only neighbours that overlap in bytes need a look at their lifetimes.
    llvm::stable_sort(buffers, [](plan::BufferOp a, plan::BufferOp b) { return *a.getOffset() < *b.getOffset(); });
    for (auto [i, a] : llvm::enumerate(buffers)) {
      int64_t end = *a.getOffset() + a.getBytes();
      for (plan::BufferOp b : ArrayRef(buffers).drop_front(i + 1)) {
        if (static_cast<int64_t>(*b.getOffset()) >= end)
          break;
        if (a.getSpace() != b.getSpace())
          continue;
        if (a.getSpace() == plan::Space::Arena &&
            (a.getEntry() != b.getEntry() || *a.getLast() < *b.getFirst() || *b.getLast() < *a.getFirst()))
          continue;
        return a.emitOpError() << "shares bytes with @" << b.getSymName() << " while both are alive";
      }
    }
    return success();
  }

  /// What makes an early start correct (PlanFormEdges.cpp), and what makes it possible (half an SM each).
  static LogicalResult verifyProgrammatic(ArrayRef<Operation *> nodes, plan::LaunchOp launch) {
    for (int32_t i : launch.getProgrammatic().value_or(ArrayRef<int32_t>())) {
      auto producer = dyn_cast<plan::LaunchOp>(nodes[i]);
      if (!producer)
        return launch.emitOpError() << "has a programmatic edge from node " << i << ", which is not a launch";
      if (afterOf(launch).size() != 1)
        return launch.emitOpError() << "has a programmatic edge and waits for " << afterOf(launch).size()
                                    << " nodes: a join needs full edges";
      for (plan::LaunchOp end : {producer, launch})
        if (!fitsHalfSm(end))
          return launch.emitOpError() << "has a programmatic edge from node " << i << ", but " << end.getShared()
                                      << " bytes of shared memory are more than half an SM (" << halfSmSharedBytes
                                      << "): one launch cannot be resident beside the other";
    }
    return success();
  }

  /// Too many registers only take an early start away, and they are the compiler's choice: no error.
  static void remarkRegisters(ArrayRef<Operation *> nodes) {
    llvm::SmallPtrSet<Attribute, 16> known;
    for (auto [i, node] : llvm::enumerate(nodes)) {
      auto launch = dyn_cast<plan::LaunchOp>(node);
      if (!launch || !isOnProgrammaticEdge(nodes, i) || !known.insert(launch.getKernelAttr()).second)
        continue;
      if (std::optional<int64_t> registers = blockRegisters(launch); registers && *registers > kernels::halfSmRegisters)
        launch.emitRemark() << "kernel " << launch.getKernel() << ": " << *registers
                            << " registers of a block are more "
                            << "than half an SM (" << kernels::halfSmRegisters
                            << "): what follows it cannot start early";
    }
  }

  static LogicalResult verify(ArrayRef<Operation *> nodes) {
    for (auto [j, node] : llvm::enumerate(nodes)) {
      if (!node->hasAttr("after"))
        return node->emitOpError("has no edges: plan-form-edges must run first");
      for (int32_t i : afterOf(node))
        if (i < 0 || static_cast<size_t>(i) >= j)
          return node->emitOpError() << "waits for node " << i << ", which is not before it";
      if (auto launch = dyn_cast<plan::LaunchOp>(node))
        if (failed(verifyProgrammatic(nodes, launch)))
          return failure();
    }
    LDBG() << nodes.size() << " nodes of "
           << (nodes.empty() ? StringRef() : nodes.front()->getParentOfType<plan::EntryOp>().getSymName());
    std::vector<std::vector<Access>> accesses = accessesOf(nodes);
    std::vector<llvm::BitVector> ancestors = ancestorsOf(nodes);
    for (auto [j, node] : llvm::enumerate(nodes))
      for (size_t i = 0; i < j; ++i)
        if (!ancestors[j].test(i) && conflict(accesses[i], accesses[j]))
          return node->emitOpError() << "touches bytes of node " << i << " without an edge to it";
    return success();
  }
};

} // namespace
