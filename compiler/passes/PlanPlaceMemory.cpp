// An offset for every buffer.
#include "compiler/passes/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "plan-place-memory"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANPLACEMEMORY
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(buffersPlaced, "Buffers placed");
ALWAYS_ENABLED_STATISTIC(arenaBytes, "Bytes of all arenas");
ALWAYS_ENABLED_STATISTIC(savedBytes, "Bytes of arenas saved by sharing");

namespace {

/// Bulk copies and tensor maps want 128 bytes; cuMemAlloc gives 256.
constexpr int64_t alignment = 256;

int64_t align(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// First fit in decreasing size over lifetimes, or one after another without `reuse`; returns the bytes of the whole.
int64_t placeArena(MutableArrayRef<plan::BufferOp> buffers, bool reuse) {
  llvm::stable_sort(buffers, [](plan::BufferOp a, plan::BufferOp b) { return a.getBytes() > b.getBytes(); });
  struct Placed {
    int64_t offset, end, first, last;
  };
  SmallVector<Placed> placed; // by offset
  int64_t total = 0, apart = 0;
  for (plan::BufferOp buffer : buffers) {
    int64_t first = *buffer.getFirst(), last = *buffer.getLast(), bytes = align(buffer.getBytes()), offset = 0;
    for (const Placed &other : placed) {
      if (reuse && (other.last < first || last < other.first))
        continue;
      if (offset + bytes <= other.offset)
        break;
      offset = std::max(offset, other.end);
    }
    buffer.setOffset(offset);
    Placed fresh{offset, offset + bytes, first, last};
    placed.insert(
        llvm::upper_bound(placed, fresh, [](const Placed &a, const Placed &b) { return a.offset < b.offset; }), fresh);
    total = std::max(total, offset + bytes);
    apart += bytes;
  }
  savedBytes += apart - total;
  return total;
}

struct PlanPlaceMemoryPass : nanocc::impl::PlanPlaceMemoryBase<PlanPlaceMemoryPass> {
  using PlanPlaceMemoryBase::PlanPlaceMemoryBase;

  void runOnOperation() override {
    for (plan::ProgramOp program : getOperation().getOps<plan::ProgramOp>())
      place(program);
  }

private:
  void place(plan::ProgramOp program) {
    int64_t total[6] = {};
    llvm::MapVector<StringRef, SmallVector<plan::BufferOp>> arenas;
    for (plan::BufferOp buffer : program.getOps<plan::BufferOp>()) {
      ++buffersPlaced;
      if (buffer.getSpace() == plan::Space::Arena) {
        arenas[*buffer.getEntry()].push_back(buffer);
        continue;
      }
      int64_t &end = total[static_cast<int>(buffer.getSpace())];
      buffer.setOffset(end);
      end += align(buffer.getBytes());
    }
    int64_t &arena = total[static_cast<int>(plan::Space::Arena)];
    for (auto &[entry, buffers] : arenas) {
      const int64_t bytes = placeArena(buffers, reuse);
      LDBG() << program.getSymName() << " " << entry << ": " << buffers.size() << " buffers in " << bytes << " bytes";
      arena = std::max(arena, bytes);
    }
    arenaBytes += arena;

    Builder builder(program.getContext());
    SmallVector<NamedAttribute> memory;
    for (auto [name, space] : {std::pair("constants", plan::Space::Constant), std::pair("kv", plan::Space::Kv),
                               std::pair("state", plan::Space::State), std::pair("arena", plan::Space::Arena),
                               std::pair("workspace", plan::Space::Workspace)})
      memory.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(total[static_cast<int>(space)])));
    if (int64_t mapped = total[static_cast<int>(plan::Space::Mapped)])
      memory.push_back(builder.getNamedAttr("mapped", builder.getI64IntegerAttr(mapped)));
    program.setMemoryAttr(builder.getDictionaryAttr(memory));
  }
};

} // namespace
