// Whole generations: loops over the chunks of the prompts and over decode steps.
#include "codegen/Registry.h"
#include "compiler/analysis/Family.h"
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/common/generation.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "plan-form-generation"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_PLANFORMGENERATION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(generations, "Generate entries made");
namespace generation = kernels::generation;

namespace {

/// The inputs that feed and advance write, in the order of their arguments.
constexpr StringRef stepInputs[] = {"tokens", "prev", "rows", "positions", "starts", "ends", "last", "steps"};
constexpr size_t tokenInputs = 4; // those before have an element a token slot, the others one a row

class GenerationBuilder {
public:
  GenerationBuilder(plan::ProgramOp program, int64_t positions)
      : program(program), positions(positions), builder(program.getContext()) {}

  void run() {
    SmallVector<plan::EntryOp> prefills, decodes;
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
      bool usable = entry.getInputs().contains("sampling") && entry.getOutputs().contains("next");
      if (usable && entry.getKind() == plan::EntryKind::Prefill)
        prefills.push_back(entry);
      if (usable && entry.getKind() == plan::EntryKind::Decode)
        decodes.push_back(entry);
      if (entry.getKind() == plan::EntryKind::Generate)
        return; // there already
    }
    int64_t rows = 0;
    for (plan::EntryOp prefill : prefills)
      for (plan::EntryOp decode : decodes)
        rows = std::max(rows, std::min<int64_t>(prefill.getRows(), decode.getRows()));
    if (rows == 0 || positions < 1 || rows > generation::maxPrompts / positions)
      return;

    Type word = builder.getI32Type(), flag = IntegerType::get(builder.getContext(), 32, IntegerType::Unsigned);
    Location loc = program.getLoc();
    // Inputs together, so that they travel to the device in one piece; the longest last, of which a part is used.
    request = buffer(loc, "generate.request", plan::Space::State, generation::requestWords(rows), word);
    prompt = buffer(loc, "generate.prompt", plan::Space::State, rows * positions, word);
    progress = buffer(loc, "generate.progress", plan::Space::State, generation::progressWords(rows), word);
    go = buffer(loc, "generate.go", plan::Space::State, generation::goWords, flag);
    ring = buffer(loc, "generate.ring", plan::Space::Mapped, generation::ringWords(rows, positions), word);
    for (plan::EntryOp prefill : prefills)
      for (plan::EntryOp decode : decodes)
        generate(prefill, decode);
  }

private:
  FlatSymbolRefAttr symbol(StringRef name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }

  FlatSymbolRefAttr buffer(Location loc, StringRef name, plan::Space space, int64_t count, Type element) {
    auto entry = llvm::find_if(program.getBody().front(), [](Operation &op) { return isa<plan::EntryOp>(op); });
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(&program.getBody().front(), entry);
    plan::BufferOp::create(builder, loc, name, space, RankedTensorType::get({count}, element), IntegerAttr(),
                           FlatSymbolRefAttr(), IntegerAttr(), IntegerAttr());
    return symbol(name);
  }

  /// The buffers of an entry's inputs. One that the entry does not have gets a buffer that nothing reads.
  SmallVector<Attribute> inputsOf(plan::EntryOp entry) {
    SmallVector<Attribute> inputs;
    for (auto [i, name] : llvm::enumerate(stepInputs)) {
      auto bound = entry.getInputs().getAs<FlatSymbolRefAttr>(name);
      if (!bound) {
        std::string label = (entry.getSymName() + "." + name).str();
        bound = symbol(label);
        if (!SymbolTable::lookupSymbolIn(program, bound.getAttr()))
          buffer(entry.getLoc(), label, plan::Space::State, i < tokenInputs ? entry.getTokens() : entry.getRows(),
                 builder.getI32Type());
      }
      inputs.push_back(bound);
    }
    return inputs;
  }

  void node(Location loc, StringRef name, ArrayRef<Attribute> buffers, ArrayRef<int64_t> counts,
            ArrayRef<int64_t> loops) {
    FamilyCall call{codegen::findFamily(name.str()), {{{"max_seq", positions}}}, {}};
    SmallVector<Attribute> args(buffers);
    for (int64_t count : counts) {
      args.push_back(builder.getI32IntegerAttr(static_cast<int32_t>(count)));
      call.scalars.push_back({.i = static_cast<int32_t>(count)});
    }
    for (int64_t loop : loops) {
      args.push_back(plan::ConditionAttr::get(builder.getContext(), loop));
      call.scalars.push_back({.i = static_cast<int32_t>(loop)});
    }
    FlatSymbolRefAttr kernel = declareKernel(program, call, loc);
    kernels::LaunchShape shape = call.shape();
    kernels::Cost cost = call.cost();
    auto extents = [&](const uint32_t(&values)[3]) {
      return builder.getDenseI32ArrayAttr(SmallVector<int32_t>(values, values + 3));
    };
    plan::LaunchOp::create(builder, loc, kernel, builder.getArrayAttr(args), extents(shape.grid), extents(shape.block),
                           builder.getI64IntegerAttr(shape.sharedBytes), builder.getI64IntegerAttr(cost.bytes),
                           builder.getI64IntegerAttr(cost.flops), DenseI32ArrayAttr(), DenseI32ArrayAttr(), ArrayAttr(),
                           ArrayAttr());
  }

  void generate(plan::EntryOp prefill, plan::EntryOp decode) {
    auto next = [](plan::EntryOp entry) { return entry.getOutputs().get("next"); };
    auto bind = [&](StringRef name, Attribute buffer) { return builder.getNamedAttr(name, buffer); };
    int64_t slots = prefill.getTokens(), chunkRows = prefill.getRows(), batch = decode.getRows();
    SmallVector<Attribute> chunk = inputsOf(prefill), step = inputsOf(decode);
    SmallVector<Attribute> feed = {prompt, request, next(prefill), progress, go, ring};
    feed.append(chunk);
    feed.append(step);
    SmallVector<Attribute> advance = {request, next(decode), progress, go, ring};
    advance.append(step);

    LDBG() << program.getSymName() << ": " << prefill.getSymName() << " and " << decode.getSymName() << " repeated";
    ++generations;
    Location loc = prefill.getLoc();
    builder.setInsertionPointToEnd(&program.getBody().front());
    auto entry = plan::EntryOp::create(builder, loc, ("generate_" + Twine(slots) + "_" + Twine(batch)).str(),
                                       plan::EntryKind::Generate, slots, std::min(chunkRows, batch),
                                       builder.getDictionaryAttr({bind("prompt", prompt), bind("request", request)}),
                                       builder.getDictionaryAttr({bind("ring", ring)}));
    Block *body = &entry.getBody().emplaceBlock();
    // The first feed accepts no tokens, and what the prefill entry samples is in that entry's arena.
    builder.setInsertionPointToEnd(body);
    SmallVector<Attribute> first(feed);
    first[2] = request;
    node(loc, "feed", first, {slots, chunkRows, batch, 0}, {0, 1});
    auto loop = [&](plan::EntryOp repeated, int64_t word) {
      builder.setInsertionPointToEnd(body);
      auto made =
          plan::WhileOp::create(builder, loc, symbol(repeated.getSymName()), go, builder.getI64IntegerAttr(word));
      builder.setInsertionPointToEnd(&made.getBody().emplaceBlock());
    };
    loop(prefill, generation::goChunks);
    node(loc, "feed", feed, {slots, chunkRows, batch, 1}, {0, 1});
    loop(decode, generation::goSteps);
    node(loc, "advance", advance, {batch}, {1});
  }

  plan::ProgramOp program;
  int64_t positions;
  OpBuilder builder;
  FlatSymbolRefAttr request, prompt, progress, go, ring;
};

struct PlanFormGenerationPass : nanocc::impl::PlanFormGenerationBase<PlanFormGenerationPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (plan::ProgramOp program : module.getOps<plan::ProgramOp>())
      GenerationBuilder(program, modelFact(module, "max_seq")).run();
  }
};

} // namespace
