// From one dynamic function to static entry points over token slots.
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/sample/words.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "nano-fix-shapes"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOFIXSHAPES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(entriesMade, "Static entries made of @forward");

namespace {

/// All logits of a score entry exist at once, so it takes few slots.
constexpr int64_t scoreSlots = 128;
struct EntryShape {
  StringRef kind; // prefill, decode, score
  int64_t tokens, rows;
};

/// Clones @forward with a static number of token slots.
class EntryBuilder {
public:
  EntryBuilder(func::FuncOp forward, EntryShape shape)
      : forward(forward), shape(shape), builder(forward.getContext()) {}

  void build() {
    LDBG() << shape.kind << " of " << shape.tokens << " tokens for " << shape.rows << " rows";
    ++entriesMade;
    Location loc = forward.getLoc();
    builder.setInsertionPoint(forward);
    entry = func::FuncOp::create(builder, loc, (shape.kind + "_" + Twine(shape.tokens)).str(),
                                 builder.getFunctionType({}, {}));
    entry->setAttr(nano::NanoDialect::entryAttr,
                   builder.getDictionaryAttr({builder.getNamedAttr("kind", builder.getStringAttr(shape.kind)),
                                              builder.getNamedAttr("tokens", builder.getI64IntegerAttr(shape.tokens)),
                                              builder.getNamedAttr("rows", builder.getI64IntegerAttr(shape.rows))}));
    builder.setInsertionPointToStart(entry.addEntryBlock());
    map.map(forward.getArgument(0), input("tokens", shape.tokens));
    auto terminator = forward.getBody().front().getTerminator();
    auto softcap = terminator->getOperand(0).getDefiningOp<nano::SoftcapOp>();
    for (Operation &op : forward.getBody().front().without_terminator())
      if (&op != softcap)
        clone(op);
    if (shape.kind == "score")
      score(softcap, terminator->getLoc());
    else
      sample(softcap, terminator->getLoc());
  }

private:
  Type staticType(Type type) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> dims{shape.tokens};
    llvm::append_range(dims, tensor.getShape().drop_front(2));
    return RankedTensorType::get(dims, tensor.getElementType());
  }

  Value input(StringRef name, int64_t count, Type element = {}) {
    auto type = RankedTensorType::get({count}, element ? element : builder.getI32Type());
    unsigned index = entry.getNumArguments();
    (void)entry.insertArgument(
        index, type,
        builder.getDictionaryAttr(builder.getNamedAttr(nano::NanoDialect::bindingAttr, builder.getStringAttr(name))),
        forward.getLoc());
    return entry.getArgument(index);
  }

  void clone(Operation &op) {
    if (auto previous = dyn_cast<nano::PreviousOp>(op)) {
      map.map(previous.getResult(), input("prev", shape.tokens));
      return;
    }
    Operation *copy = builder.clone(op, map);
    for (Value result : copy->getResults())
      result.setType(staticType(result.getType()));
  }

  void finish(ArrayRef<std::pair<StringRef, Value>> outputs, Location loc) {
    SmallVector<Value> values;
    SmallVector<Type> types;
    for (auto [name, value] : outputs) {
      values.push_back(value);
      types.push_back(value.getType());
    }
    func::ReturnOp::create(builder, loc, values);
    entry.setType(builder.getFunctionType(entry.getArgumentTypes(), types));
    for (auto [i, output] : llvm::enumerate(outputs))
      entry.setResultAttr(i, nano::NanoDialect::bindingAttr, builder.getStringAttr(output.first));
  }

  void sample(nano::SoftcapOp softcap, Location loc) {
    Value z = map.lookup(softcap.getZ());
    Value index = input("last", shape.rows);
    if (shape.kind == "prefill") {
      auto type = cast<RankedTensorType>(z.getType());
      z = nano::LastOp::create(
          builder, loc, RankedTensorType::get({shape.rows, type.getDimSize(1)}, type.getElementType()), z, index);
    }
    Value steps = input("steps", shape.rows);
    Value words =
        input("sampling", kernels::samplingWords, IntegerType::get(builder.getContext(), 32, IntegerType::Unsigned));
    int64_t vocab = cast<ShapedType>(softcap.getType()).getShape().back();
    Value next = nano::SampleOp::create(builder, softcap.getLoc(), index.getType(), z, index, steps, words,
                                        softcap.getCapAttr(), builder.getI64IntegerAttr(vocab));
    finish({{"next", next}}, loc);
  }

  void score(nano::SoftcapOp softcap, Location loc) {
    clone(*softcap);
    Value logits = map.lookup(softcap.getResult());
    Value nll = nano::NllOp::create(builder, loc, RankedTensorType::get({shape.tokens}, builder.getF32Type()), logits,
                                    input("targets", shape.tokens));
    finish({{"nll", nll}, {"logits", logits}}, loc);
  }

  func::FuncOp forward, entry;
  EntryShape shape;
  OpBuilder builder;
  IRMapping map;
};

struct NanoFixShapesPass : nanocc::impl::NanoFixShapesBase<NanoFixShapesPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Options> options = getOptions(module);
    if (failed(options) || failed(verifyModel(module)))
      return signalPassFailure();
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    for (int64_t tokens : options->prefill)
      EntryBuilder(forward, {"prefill", tokens, options->rows()}).build();
    for (int64_t batch : options->batches)
      EntryBuilder(forward, {"decode", batch, batch}).build();
    EntryBuilder(forward, {"score", std::min(scoreSlots, options->maxSeq), 1}).build();
    forward.erase();
    NamedAttrList facts(module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::modelAttr));
    facts.set("max_seq", IntegerAttr::get(IntegerType::get(&getContext(), 64), options->maxSeq));
    module->setAttr(nano::NanoDialect::modelAttr, facts.getDictionary(&getContext()));
  }
};

} // namespace
