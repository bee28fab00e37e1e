// What computes a launch where there is a choice.
#include "codegen/Weighing.h"
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/passes/Passes.h"
#include "compiler/pipeline/Options.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"

#include <map>

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNCHOOSETEMPLATES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;
using codegen::Choice;
using codegen::Problem;
using codegen::Weighed;

namespace {

/// The operand by which a launch is named: the weight or the ring.
Value namingOperand(Operation *op) {
  if (auto product = dyn_cast<kern::ProductOp>(op))
    return product.getWeight();
  if (auto chunk = dyn_cast<kern::AttentionOp>(op))
    return chunk.getKv();
  return cast<kern::AttentionStepOp>(op).getKv();
}

/// "decode_8/h0.c_fc"
std::string nameOf(Operation *op) {
  auto ref = namingOperand(op).getDefiningOp<kern::RefOp>();
  return (op->getParentOfType<func::FuncOp>().getSymName() + "/" + (ref ? ref.getSymbol() : "?")).str();
}

/// Whether an engine of this name computes the meaning, or the library does.
bool serves(StringRef engine, const Problem &problem) {
  return engine == kern::libraryEngine ? StringRef(problem.meaning).starts_with("product")
                                       : kernels::catalogue().kernel(problem.meaning, engine.str()) != nullptr;
}

/// "wgmma, stream, mma"
std::string enginesOf(const Problem &problem) {
  std::string names;
  for (const kernels::Kernel *kernel : kernels::catalogue().kernels(problem.meaning))
    names += (names.empty() ? "" : ", ") + std::string(kernel->engine->name);
  return names;
}

/// Decides one program's launches, and counts what it has met.
class Chooser {
public:
  Chooser(kern::ProgramOp program, const Options &options, ArrayRef<Override> overrides)
      : target(program.getSymName().str()), options(options), overrides(overrides) {}

  LogicalResult choose(kern::KernelOp op, const Problem &problem) {
    const std::string name = nameOf(op);
    if (example.empty())
      example = name;
    const Override *forced = forcedFor(name, problem);
    std::vector<Weighed> weighed = codegen::weighAll(problem, choicesFor(problem), target, measured());
    problems.emplace(problem, !weighed.empty() && weighed.front().measured);
    const bool library = forced && forced->choice.engine == codegen::library && forced->choice.params.size() == 0 &&
                         codegen::servedByLibrary(problem);
    if (forced && !library) {
      std::string why;
      std::vector<Weighed> meant = completions(problem, forced->choice, why);
      if (meant.empty())
        return op->emitError() << "--template " << forced->pattern << "=" << forced->choice.text() << " does not fit "
                               << name << ": " << why;
      Weighed best = *std::min_element(meant.begin(), meant.end(), codegen::isShorter);
      llvm::erase_if(weighed, [&](const Weighed &w) { return w.choice.text() == best.choice.text(); });
      best.reason = "by --template";
      weighed.insert(weighed.begin(), best);
    }
    std::optional<Options::Library> algorithm;
    if (codegen::servedByLibrary(problem) && (!forced || library))
      algorithm = weighLibrary(weighed, problem, library);
    if (!weighed.empty())
      set(op, problem, weighed, algorithm);
    return success(); // kern-verify says what is missing
  }

  /// How many distinct problems the program has, and how many of them were measured.
  size_t count() const { return problems.size(); }
  size_t measuredCount() const {
    return llvm::count_if(problems, [](const auto &problem) { return problem.second; });
  }

  llvm::SmallDenseSet<size_t> used;      // overrides that some launch has met
  std::map<size_t, std::string> unknown; // why those whose pattern alone fits a launch do not mean it
  std::string example;                   // the name of a launch that has a choice

private:
  codegen::Measured measured() const {
    return [this](const Problem &problem, const Choice &choice) { return options.measured(target, problem, choice); };
  }

  /// Layers have the same problems.
  const std::vector<Choice> &choicesFor(const Problem &problem) {
    auto [known, isNew] = offered.try_emplace(problem);
    if (isNew)
      known->second = codegen::choicesFor(problem, target);
    return known->second;
  }

  /// The last override that means the launch. One pattern may match attentions and products: the engine says which.
  const Override *forcedFor(const std::string &name, const Problem &problem) {
    const Override *forced = nullptr;
    for (auto [i, override] : llvm::enumerate(overrides)) {
      if (!cantFail(llvm::GlobPattern::create(override.pattern)).match(name))
        continue;
      if (!serves(override.choice.engine, problem)) {
        unknown.try_emplace(i, name + ": there is no engine '" + override.choice.engine + "' for " + problem.meaning +
                                   "; there are " + enginesOf(problem));
        continue;
      }
      used.insert(i);
      forced = &override;
    }
    return forced;
  }

  /// What an override can mean: itself, and the choices of its engine with its parameters in place of theirs.
  std::vector<Weighed> completions(const Problem &problem, const Choice &given, std::string &why) {
    std::vector<Choice> choices = {given};
    for (const Choice &choice : choicesFor(problem))
      if (choice.engine == given.engine)
        choices.push_back({choice.engine, choice.params.with(given.params)});
    std::vector<Weighed> meant;
    for (Choice &choice : choices)
      if (choice.engine == codegen::library)
        why = "cublaslt takes no parameters, and only products into which nothing is fused";
      else if (codegen::instanceOf(problem, choice, target, why))
        meant.push_back(codegen::weigh(problem, std::move(choice), target, measured()));
    return meant;
  }

  /// Adds cuBLASLt to what can serve a plain product, in front if it wins: always by `forced`; over kernels unless it
  /// and the best of them were measured and it is slower. A prediction does not decide, because the model knows
  /// nothing of its kernels. Its algorithm, if that was measured.
  std::optional<Options::Library> weighLibrary(std::vector<Weighed> &weighed, const Problem &problem, bool forced) {
    const std::optional<Options::Library> times = options.measuredLibrary(target, problem);
    Weighed library{{std::string(codegen::library)}, times ? times->us : 0, times.has_value()};
    if (times)
      library.choice.params = {{"algorithm", times->algorithm}};
    else
      library.us = codegen::predictLibraryUs(*kernels::findTarget(target), problem);
    auto slower = [&](const Weighed &kernel) { return kernel.measured && kernel.us < library.us; };
    auto place = weighed.begin();
    if (forced)
      library.reason = "by --template";
    else if (times)
      place = llvm::find_if_not(weighed, slower);
    else if (!weighed.empty())
      library.reason = "a library's product until it was measured";
    weighed.insert(place, library);
    return times;
  }

  static ArrayAttr linesOf(Builder builder, ArrayRef<Weighed> weighed) {
    if (weighed.size() < 2)
      return {};
    SmallVector<Attribute> lines;
    for (const Weighed &w : weighed)
      lines.push_back(builder.getStringAttr(w.text() + (lines.empty() && !w.reason.empty() ? ", " : "") +
                                            (lines.empty() ? std::string(w.reason) : "")));
    return builder.getArrayAttr(lines);
  }

  void set(kern::KernelOp op, const Problem &problem, ArrayRef<Weighed> weighed,
           const std::optional<Options::Library> &algorithm) {
    Builder builder(op->getContext());
    const Choice &choice = weighed.front().choice;
    SmallVector<NamedAttribute> parts = {builder.getNamedAttr("engine", builder.getStringAttr(choice.engine))};
    for (const auto &[name, value] : choice.params)
      parts.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
    if (choice.engine == codegen::library && algorithm)
      parts.push_back(builder.getNamedAttr("version", builder.getStringAttr(algorithm->version)));
    op->setAttr("choice", builder.getDictionaryAttr(parts));
    if (ArrayAttr lines = linesOf(builder, weighed))
      op->setAttr("considered", lines);
    if (choice.engine == codegen::library)
      return;
    std::string why;
    addArguments(op, *codegen::instanceOf(problem, choice, target, why));
  }

  /// What the engine wants besides the meaning's arguments: counters and scratch.
  static void addArguments(Operation *op, const codegen::Instance &instance) {
    for (const kernels::Arg &arg : instance.kernel->engine->args) {
      if (arg.role == kernels::Role::Counters) {
        // For as many rows as there may be, so that all entries share them.
        auto kv = cast<kern::KvType>(namingOperand(op).getType());
        const kernels::Values most = instance.launch.with({{"n", kv.getRows()}});
        Value counters = countersOf(op, instance.kernel->elements(arg, most, {}));
        if (auto chunk = dyn_cast<kern::AttentionOp>(op))
          chunk.getCountersMutable().assign(counters);
        else
          cast<kern::AttentionStepOp>(op).getCountersMutable().assign(counters);
      } else if (arg.role == kernels::Role::Partials) {
        const auto count = static_cast<int64_t>(instance.kernel->elements(arg, instance.launch, {}));
        op = withPartials(cast<kern::AttentionStepOp>(op), count);
      }
    }
  }

  static Operation *withPartials(kern::AttentionStepOp step, int64_t count) {
    OpBuilder builder(step);
    Type types[] = {RankedTensorType::get({count}, builder.getF32Type()), step.getResult().getType()};
    auto made =
        kern::AttentionStepOp::create(builder, step.getLoc(), TypeRange(types), step->getOperands(), step->getAttrs());
    step.getResult().replaceAllUsesWith(made.getResult());
    step.erase();
    return made;
  }

  /// Shared by all launches that need as many: data orders those.
  static Value countersOf(Operation *launch, uint64_t count) {
    auto program = launch->getParentOfType<kern::ProgramOp>();
    OpBuilder builder(launch);
    auto type = RankedTensorType::get({static_cast<int64_t>(count)}, builder.getIntegerType(32, false));
    const std::string name = llvm::formatv("attention.counters.{0}", count).str();
    if (!program.lookupSymbol(name)) {
      OpBuilder declarations(builder.getContext());
      declarations.setInsertionPoint(*program.getBody().getOps<func::FuncOp>().begin());
      kern::CountersOp::create(declarations, launch->getLoc(), name, type);
    }
    return kern::RefOp::create(builder, launch->getLoc(), type, FlatSymbolRefAttr::get(builder.getContext(), name));
  }

  const std::string target;
  const Options &options;
  ArrayRef<Override> overrides;
  std::map<Problem, std::vector<Choice>> offered;
  std::map<Problem, bool> problems; // whether the winner was measured
};

struct KernChooseTemplatesPass : nanocc::impl::KernChooseTemplatesBase<KernChooseTemplatesPass> {
  void runOnOperation() override {
    Options options;
    if (getOperation()->hasAttr(nano::NanoDialect::optionsAttr)) {
      FailureOr<Options> given = getOptions(getOperation());
      if (failed(given))
        return signalPassFailure();
      options = *given;
    }
    std::vector<Override> overrides;
    for (const std::string &text : options.templates)
      overrides.push_back(cantFail(parseOverride(text))); // getOptions has checked them
    llvm::SmallDenseSet<size_t> used;
    std::map<size_t, std::string> unknown;
    std::string example;
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>()) {
      if (program.getSymName() == "cpu")
        continue; // the references serve everything
      if (!kernels::findTarget(program.getSymName().str())) {
        program.emitError("is for a target that has no device description");
        return signalPassFailure();
      }
      Chooser chooser(program, options, overrides);
      WalkResult walk = program.walk([&](kern::KernelOp op) -> WalkResult {
        if (op.getEngineChoice())
          return WalkResult::advance(); // decided when the stage was emitted
        if (std::optional<Problem> problem = problemOf(op))
          return chooser.choose(op, *problem);
        return WalkResult::advance();
      });
      if (walk.wasInterrupted())
        return signalPassFailure();
      used.insert(chooser.used.begin(), chooser.used.end());
      unknown.merge(chooser.unknown);
      if (example.empty())
        example = chooser.example;
      auto times = options.tuning.find(program.getSymName().str());
      if (times != options.tuning.end() && !times->second.empty() && chooser.measuredCount() < chooser.count())
        program.emitWarning() << "--tuning: " << chooser.measuredCount() << " of " << chooser.count() << " problems of "
                              << times->first << " are measured in it, the others predicted; it has times such as \""
                              << times->second.begin()->first << "\". nanort tune measures those of a plan";
    }
    for (auto [i, override] : llvm::enumerate(overrides))
      if (!used.contains(i)) {
        if (auto why = unknown.find(i); why != unknown.end())
          getOperation().emitError() << "--template " << override.pattern << "=" << override.choice.text()
                                     << " does not fit " << why->second;
        else
          getOperation().emitError()
              << "--template " << override.pattern
              << "= matches nothing that has a choice; such launches are named ENTRY/WEIGHT or ENTRY/RING, "
              << (example.empty() ? "and there are none" : "such as " + example);
        return signalPassFailure();
      }
  }
};

} // namespace
