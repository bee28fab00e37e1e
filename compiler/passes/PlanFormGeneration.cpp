// Whole generations: loops over the chunks of the prompts and over decode steps.
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/generation/words.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/ADT/StringSwitch.h"
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

/// The inputs that have an element a token slot, the others one a row.
constexpr StringRef tokenInputs[] = {"tokens", "prev", "rows", "positions"};

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

  /// The buffer of an entry's input. One that the entry does not have gets a buffer that nothing reads.
  FlatSymbolRefAttr inputOf(plan::EntryOp entry, StringRef name) {
    if (auto bound = entry.getInputs().getAs<FlatSymbolRefAttr>(name))
      return bound;
    std::string label = (entry.getSymName() + "." + name).str();
    FlatSymbolRefAttr unread = symbol(label);
    if (!SymbolTable::lookupSymbolIn(program, unread.getAttr()))
      buffer(entry.getLoc(), label, plan::Space::State,
             llvm::is_contained(tokenInputs, name) ? entry.getTokens() : entry.getRows(), builder.getI32Type());
    return unread;
  }

  /// A launch of a meaning of generations; `next` holds the sampled tokens.
  void node(Location loc, StringRef meaning, plan::EntryOp prefill, plan::EntryOp decode, Attribute next, bool accept) {
    const bool cpu = program.getSymName() == "cpu";
    KernelLaunch launch{cpu ? kernels::catalogue().kernel(meaning.str(), "")
                            : kernels::catalogue().kernels(meaning.str()).front(),
                        {{"max_seq", positions}},
                        {},
                        {}};
    auto bufferOf = [&](const kernels::Arg &arg) -> Attribute {
      switch (arg.role) {
      case kernels::Role::Prompt:
        return prompt;
      case kernels::Role::Request:
        return request;
      case kernels::Role::Progress:
        return progress;
      case kernels::Role::Go:
        return go;
      case kernels::Role::TokenRing:
        return ring;
      case kernels::Role::Next:
        return next;
      case kernels::Role::PrefillInput:
        return inputOf(prefill, arg.of);
      case kernels::Role::DecodeInput:
        return inputOf(decode, arg.of);
      default:
        llvm_unreachable("not an argument of a generation");
      }
    };
    auto scalarOf = [&](StringRef name) -> int64_t {
      return llvm::StringSwitch<int64_t>(name)
          .Case("slots", prefill.getTokens())
          .Case("chunk_rows", prefill.getRows())
          .Case("batch", decode.getRows())
          .Case("accept", accept)
          .Case("more", generation::goChunks)
          .Case("active", generation::goSteps);
    };
    SmallVector<Attribute> args;
    for (const kernels::Arg &arg : launch.kernel->args) {
      if (!isScalar(arg.access)) {
        args.push_back(bufferOf(arg));
        continue;
      }
      const int64_t value = scalarOf(arg.name);
      launch.scalars.push_back({.i = static_cast<int32_t>(value)});
      if (arg.access == kernels::Access::Condition)
        args.push_back(plan::ConditionAttr::get(builder.getContext(), value));
      else
        args.push_back(builder.getI32IntegerAttr(static_cast<int32_t>(value)));
    }
    FlatSymbolRefAttr kernel = declareKernel(program, launch, loc);
    const kernels::Values numbers = launch.numbers();
    const kernels::LaunchShape shape = cpu ? kernels::LaunchShape{} : launch.kernel->shape(numbers);
    const kernels::Cost cost = launch.kernel->cost(numbers);
    auto extents = [&](uint32_t x) { return builder.getDenseI32ArrayAttr({static_cast<int32_t>(x), 1, 1}); };
    plan::LaunchOp::create(builder, loc, kernel, builder.getArrayAttr(args), extents(shape.blocks),
                           extents(shape.threads), builder.getI64IntegerAttr(shape.sharedBytes),
                           builder.getI64IntegerAttr(cost.bytes), builder.getI64IntegerAttr(cost.flops),
                           DenseI32ArrayAttr(), DenseI32ArrayAttr(), ArrayAttr(), ArrayAttr());
  }

  void generate(plan::EntryOp prefill, plan::EntryOp decode) {
    auto next = [](plan::EntryOp entry) { return entry.getOutputs().get("next"); };
    auto bind = [&](StringRef name, Attribute buffer) { return builder.getNamedAttr(name, buffer); };
    int64_t slots = prefill.getTokens(), batch = decode.getRows();
    LDBG() << program.getSymName() << ": " << prefill.getSymName() << " and " << decode.getSymName() << " repeated";
    ++generations;
    Location loc = prefill.getLoc();
    builder.setInsertionPointToEnd(&program.getBody().front());
    auto entry = plan::EntryOp::create(builder, loc, ("generate_" + Twine(slots) + "_" + Twine(batch)).str(),
                                       plan::EntryKind::Generate, slots, std::min<int64_t>(prefill.getRows(), batch),
                                       builder.getDictionaryAttr({bind("prompt", prompt), bind("request", request)}),
                                       builder.getDictionaryAttr({bind("ring", ring)}));
    Block *body = &entry.getBody().emplaceBlock();
    // The first feed accepts no tokens, and what the prefill entry samples is in that entry's arena.
    builder.setInsertionPointToEnd(body);
    node(loc, "feed", prefill, decode, request, /*accept=*/false);
    auto loop = [&](plan::EntryOp repeated, int64_t word) {
      builder.setInsertionPointToEnd(body);
      auto made =
          plan::WhileOp::create(builder, loc, symbol(repeated.getSymName()), go, builder.getI64IntegerAttr(word));
      builder.setInsertionPointToEnd(&made.getBody().emplaceBlock());
    };
    loop(prefill, generation::goChunks);
    node(loc, "feed", prefill, decode, next(prefill), /*accept=*/true);
    loop(decode, generation::goSteps);
    node(loc, "advance", prefill, decode, next(decode), /*accept=*/true);
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
