// last(f(x)) = f(last(x)) for every f that treats each token by itself.
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "nano-select-last"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOSELECTLAST
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(selections, "Operations that work on selected tokens alone");

namespace {

struct NanoSelectLastPass : nanocc::impl::NanoSelectLastBase<NanoSelectLastPass> {
  void runOnOperation() override {
    // Bottom-up: moving a selection past an operation creates selections only of earlier values.
    SmallVector<nano::LastOp> worklist;
    getOperation().walk([&](nano::LastOp last) { worklist.push_back(last); });
    while (!worklist.empty()) {
      nano::LastOp last = worklist.pop_back_val();
      Operation *producer = last.getX().getDefiningOp();
      if (!producer || !canMovePast(producer, last))
        continue;
      moveUp(producer, last, worklist);
    }
  }

private:
  /// Moving is worth it, and possible, if nobody needs the producer's other tokens. Ids are not selected: they are
  /// inputs.
  static bool canMovePast(Operation *producer, nano::LastOp last) {
    if (!producer->hasTrait<nano::TokenWise>() || producer->getNumResults() != 1 ||
        !isa<BlockArgument>(last.getIndex()))
      return false;
    auto isActivation = [](Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); };
    return llvm::all_of(producer->getOperands(), isActivation) &&
           llvm::all_of(producer->getUsers(), [&](Operation *user) {
             auto other = dyn_cast<nano::LastOp>(user);
             return other && other.getIndex() == last.getIndex();
           });
  }

  static void moveUp(Operation *producer, nano::LastOp last, SmallVectorImpl<nano::LastOp> &worklist) {
    OpBuilder builder(producer);
    int64_t rows = cast<RankedTensorType>(last.getType()).getDimSize(0);
    auto rowsOf = [&](Type type) {
      auto tensor = cast<RankedTensorType>(type);
      return RankedTensorType::get({rows, tensor.getDimSize(1)}, tensor.getElementType());
    };
    SmallVector<Value> operands;
    for (Value operand : producer->getOperands()) {
      nano::LastOp selected = existing(operand, last.getIndex());
      builder.setInsertionPointAfterValue(operand);
      if (selected) {
        // It may stand behind the operation that is about to read it.
        selected->moveBefore(builder.getInsertionBlock(), builder.getInsertionPoint());
      } else {
        selected = nano::LastOp::create(builder, last.getLoc(), rowsOf(operand.getType()), operand, last.getIndex());
        worklist.push_back(selected);
      }
      operands.push_back(selected);
    }
    for (Operation *user : llvm::make_early_inc_range(producer->getUsers())) {
      // All users are selections by the same index, hence the same value.
      worklist.erase(std::remove(worklist.begin(), worklist.end(), cast<nano::LastOp>(user)), worklist.end());
    }
    builder.setInsertionPoint(producer);
    Operation *moved = builder.clone(*producer);
    moved->setOperands(operands);
    moved->getResult(0).setType(rowsOf(producer->getResult(0).getType()));
    for (Operation *user : llvm::make_early_inc_range(producer->getUsers())) {
      user->getResult(0).replaceAllUsesWith(moved->getResult(0));
      user->erase();
    }
    LDBG() << moved->getName() << " works on " << rows << " selected tokens";
    ++selections;
    producer->erase();
    // Values that this producer shared with others may now be needed by selections alone.
    for (Value operand : operands) {
      auto selected = operand.getDefiningOp<nano::LastOp>();
      if (selected && !llvm::is_contained(worklist, selected))
        worklist.push_back(selected);
    }
  }

  static nano::LastOp existing(Value value, Value index) {
    for (Operation *user : value.getUsers())
      if (auto last = dyn_cast<nano::LastOp>(user); last && last.getIndex() == index)
        return last;
    return {};
  }
};

} // namespace
