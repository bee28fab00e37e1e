// The fewest edges that order every pair of nodes that touch the same bytes, and which of them may be programmatic.
//
// A consumer with a programmatic edge starts while its producer P still runs and waits on the device (every block of
// every kernel executes griddepcontrol.wait) until P has finished and its writes are visible. That wait covers P alone,
// yet it orders the consumer after every ancestor of P too, the ones that the reduction below left without an edge
// included, because P cannot have finished before they had:
//   - P came after a full edge: then P started after that ancestor had finished;
//   - P came after a programmatic edge: then every block of P waited for that ancestor before it could end.
// By induction along the chain an edge of either kind means "has finished and is visible", whatever an ancestor's own
// number of predecessors. The consumer itself must have one predecessor: joins take full edges (rule 1).
//
// What a kernel may do before its wait is read constants and older KV (kernels_templates/cuda-rules.md, rule 2): none
// of that is in the arena, whose lifetimes have a stage to spare besides (rule 7, kern-lower-to-plan).
#include "compiler/analysis/Conflicts.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "plan-form-edges"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANFORMEDGES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(edges, "Edges");
ALWAYS_ENABLED_STATISTIC(programmaticEdges, "Edges on which a launch may start early");

namespace {

struct PlanFormEdgesPass : nanocc::impl::PlanFormEdgesBase<PlanFormEdgesPass> {
  using PlanFormEdgesBase::PlanFormEdgesBase;

  void runOnOperation() override {
    // Entries first: loops go on from their edges.
    getOperation().walk([&](plan::EntryOp entry) { form(nodesOf(entry), 0); });
    getOperation().walk([&](plan::WhileOp loop) {
      std::vector<Operation *> nodes = nodesOf(loop);
      form(nodes, nodes.size() - loop.getBody().front().getOperations().size());
    });
  }

private:
  /// Edges of the nodes from `first` on; those before have theirs.
  void form(ArrayRef<Operation *> nodes, size_t first) {
    std::vector<std::vector<Access>> accesses = accessesOf(nodes);
    std::vector<llvm::BitVector> ancestors = ancestorsOf(nodes.take_front(first));
    for (size_t j = first; j < nodes.size(); ++j) {
      // Latest first: what an edge already implies needs none of its own.
      llvm::BitVector before(j);
      SmallVector<int32_t> after;
      for (int32_t i = static_cast<int32_t>(j) - 1; i >= 0; --i)
        if (!before.test(i) && conflict(accesses[i], accesses[j])) {
          after.push_back(i);
          before |= ancestors[i];
          before.set(i);
        }
      std::reverse(after.begin(), after.end());
      edges += after.size();
      nodes[j]->setAttr("after", DenseI32ArrayAttr::get(nodes[j]->getContext(), after));
      ancestors.push_back(std::move(before));
    }
    // The CPU executor runs one launch at a time.
    if (programmatic && !nodes.empty() && nodes.front()->getParentOfType<plan::ProgramOp>().getSymName() != "cpu")
      markProgrammatic(nodes, first);
  }

  /// Chains only: the edge must come from the node right before, so that what starts early is what would run next.
  static void markProgrammatic(ArrayRef<Operation *> nodes, size_t first) {
    plan::LaunchOp previous;
    for (auto [j, node] : llvm::enumerate(nodes)) {
      auto launch = dyn_cast<plan::LaunchOp>(node);
      ArrayRef<int32_t> after = afterOf(node);
      if (j < first) {
        previous = launch;
        continue;
      }
      if (launch && previous && after.size() == 1 && after[0] + 1 == static_cast<int32_t>(j) && fitsHalfSm(previous) &&
          fitsHalfSm(launch)) {
        launch.setProgrammatic(after);
        ++programmaticEdges;
      } else if (launch) {
        if (!after.empty())
          LDBG() << launch.getKernel() << " starts after full edges: "
                 << (after.size() != 1                         ? "a join"
                     : after[0] + 1 != static_cast<int32_t>(j) ? "what it waits for is not right before it"
                     : !previous                               ? "a library call is before it"
                                                               : "half an SM's shared memory is too little");
        launch.removeProgrammaticAttr();
      }
      previous = launch;
    }
  }
};

} // namespace
