// The fewest edges that order every pair of nodes that touch the same bytes.
#include "compiler/analysis/Conflicts.h"
#include "compiler/passes/Passes.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANFORMEDGES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

struct PlanFormEdgesPass : nanocc::impl::PlanFormEdgesBase<PlanFormEdgesPass> {
  void runOnOperation() override {
    getOperation().walk([](plan::EntryOp entry) { form(entry); });
  }

  static void form(plan::EntryOp entry) {
    std::vector<std::vector<Access>> accesses = accessesOf(entry);
    std::vector<llvm::BitVector> ancestors;
    Builder builder(entry.getContext());
    for (auto [j, node] : llvm::enumerate(entry.getBody().front())) {
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
      node.setAttr("after", builder.getDenseI32ArrayAttr(after));
      ancestors.push_back(std::move(before));
    }
  }
};

} // namespace
