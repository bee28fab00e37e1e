// What runs a launch where there is a choice.
#include "codegen/Choices.h"
#include "compiler/analysis/Family.h"
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"

#include "codegen/Instantiate.h"
#include "kernels_templates/attention_batch/shape.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"

#include <map>

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNCHOOSETEMPLATES
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

/// A launch with a choice.
struct Task {
  codegen::Problem problem;
  std::vector<codegen::Choice> choices;
  int64_t rows;                               // token slots
  Value operand;                              // the weight or the ring: what the launch is called by
  std::optional<codegen::Product> plain = {}; // of a kern.linear, which a library can serve
};

constexpr StringRef predicted = "predicted", measured = "measured";
/// A choice, what it should take, and on whose word.
struct Weighed {
  codegen::Choice choice;
  double us;
  StringRef source; // `predicted` or `measured`
  kernels::LaunchShape shape;
  StringRef reason = {}; // why it won, if not by the shortest time

  bool leavesHalf() const { return shape.sharedBytes <= codegen::halfSmShared; }
};
/// A launch is measured among its likes; in a step its neighbours are others. Within one, on an H100, ...
/// one that takes a whole SM can start early no more, nor can what follows (d20's c_proj of 128 rows: alone 9.8 us, and
/// 9.9 in half an SM, within a step 3 us more);
constexpr double wholeUs = 1.5;
/// of those this close, the one of which an SM holds more blocks leaves its neighbours more room to start early (d12's
/// q/k/v of one row: 2.72 us by wgemm and 2.79 by gemv, within a step 3.6 and 2.7);
constexpr double closeUs = 0.35;
/// and of those within this share of the least, that of smaller clusters finds room sooner, if it leaves as much and
/// has no fewer blocks (d20's logits of 128 rows: alone 73.5 us in clusters of two and 74.3 without, within a step 16
/// us more).
constexpr double nearShare = 0.02;

StringRef epilogueOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case<kern::ProductAddOp>([](auto) { return StringRef("_add"); })
      .Case<kern::ProductMixOp>([](auto) { return StringRef("_mix"); })
      .Case<kern::ProductMixSumOp>([](auto) { return StringRef("_mix_sum"); })
      .Case<kern::ProductBackoutOp>([](auto) { return StringRef("_backout"); })
      .Default([](Operation *) { return StringRef(); });
}

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
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>()) {
      if (program.getSymName() == "cpu")
        continue;
      if (!codegen::deviceModel(program.getSymName().str())) {
        program.emitError("is for a target that has no device description");
        return signalPassFailure();
      }
      concerned = false;
      offered.clear();
      WalkResult walk = program.walk([&](Operation *op) -> WalkResult {
        if (std::optional<Task> task = taskOf(op, program.getSymName().str()))
          return choose(op, *task, program.getSymName().str(), options, overrides);
        return WalkResult::advance();
      });
      if (walk.wasInterrupted())
        return signalPassFailure();
      auto times = options.tuning.find(program.getSymName().str());
      if (times != options.tuning.end() && !times->second.empty() && !concerned)
        program.emitWarning() << "--tuning: none of the " << times->second.size() << " times for " << times->first
                              << " is of a launch of this model; they are of kernels at a number of rows, such as "
                              << times->second.begin()->first << ". Measure a plan of it with nanort tune";
    }
    for (auto [i, override] : llvm::enumerate(overrides))
      if (!used.contains(i)) {
        getOperation().emitError()
            << "--template " << override.pattern
            << "= matches nothing that has a choice; such launches are named ENTRY/WEIGHT or ENTRY/RING, "
            << (example.empty() ? "and there are none" : "such as " + example);
        return signalPassFailure();
      }
  }

private:
  template <typename Shape> Task makeTask(const Shape &shape, int64_t rows, Value operand, const std::string &target) {
    codegen::Problem problem = codegen::problemOf(shape);
    auto [known, isNew] = offered.try_emplace(problem);
    if (isNew)
      known->second = codegen::choicesFor(shape, target);
    return {std::move(problem), known->second, rows, operand};
  }

  /// Nullopt for what has no choice, and for what kern-verify will refuse.
  std::optional<Task> taskOf(Operation *op, const std::string &target) {
    auto typeOf = [](Value value) { return dyn_cast<RankedTensorType>(value.getType()); };
    if (auto attention = dyn_cast<kern::AttentionOp>(op)) {
      RankedTensorType q = typeOf(attention.getQ());
      auto kv = cast<kern::KvType>(attention.getKv().getType());
      std::optional<kernels::DType> in = dtypeOf(q.getElementType());
      if (!in || q.getRank() != 2)
        return std::nullopt;
      const codegen::Attention shape{*in,
                                     q.getDimSize(0),
                                     q.getDimSize(1) / kv.getDim(),
                                     kv.getHeads(),
                                     kv.getDim(),
                                     kv.getPositions(),
                                     static_cast<int64_t>(attention.getWindow()),
                                     typeOf(attention.getStarts()).getDimSize(0)};
      return makeTask(shape, shape.tokens, attention.getKv(), target);
    }
    if (auto attention = dyn_cast<kern::AttentionDecodeOp>(op))
      return decodeTask(attention, {}, {}, target);
    if (auto attention = dyn_cast<kern::AttentionDecodeVeOp>(op))
      return decodeTask(attention, attention.getX(), attention.getGate(), target);
    if (!isa<kern::LinearOp, kern::ProductOp, kern::ProductAddOp, kern::ProductMixOp, kern::ProductMixSumOp,
             kern::ProductBackoutOp>(op))
      return std::nullopt;
    RankedTensorType x = typeOf(op->getOperand(0)), y = typeOf(op->getResults().back());
    std::optional<kernels::DType> in = dtypeOf(x.getElementType()), out = dtypeOf(y.getElementType());
    if (!in || !out || x.getRank() != 2 || y.getRank() != 2)
      return std::nullopt;
    const codegen::Product product{
        epilogueOf(op).str(), *in, *out, x.getDimSize(0), y.getDimSize(1), x.getDimSize(1), op->hasAttr("norm"),
        op->hasAttr("relu2")};
    Task task = makeTask(product, product.rows, op->getOperand(1), target);
    if (isa<kern::LinearOp>(op))
      task.plain = product;
    return task;
  }

  /// `x` and `gate` are the value gate's, if there is one.
  template <typename Op> std::optional<Task> decodeTask(Op attention, Value x, Value gate, const std::string &target) {
    auto columns = [](Value value) {
      return value ? cast<RankedTensorType>(value.getType()).getShape().back() : int64_t{0};
    };
    auto kv = cast<kern::KvType>(attention.getKv().getType());
    auto type = cast<RankedTensorType>(attention.getType());
    std::optional<kernels::DType> in = dtypeOf(type.getElementType()),
                                  table = dtypeOf(getElementTypeOrSelf(attention.getTable()));
    if (!in || !table || type.getRank() != 2)
      return std::nullopt;
    const codegen::DecodeAttention shape{
        *in,           *table,       type.getDimSize(0), type.getDimSize(1) / kv.getDim(),
        kv.getHeads(), kv.getDim(),  kv.getPositions(),  static_cast<int64_t>(attention.getWindow()),
        columns(x),    columns(gate)};
    return makeTask(shape, shape.tokens, attention.getKv(), target);
  }

  /// "decode_8/h0.c_fc"
  static std::string nameOf(Operation *op, Value operand) {
    auto ref = operand.getDefiningOp<kern::RefOp>();
    return (op->getParentOfType<func::FuncOp>().getSymName() + "/" + (ref ? ref.getSymbol() : "?")).str();
  }

  /// What a launch's families are called by, of those that are not products'.
  static StringRef attentionOf(Operation *op) {
    return isa<kern::AttentionOp>(op)                                    ? "attention"
           : isa<kern::AttentionDecodeOp, kern::AttentionDecodeVeOp>(op) ? "attention_decode"
                                                                         : "";
  }

  /// Whether a family of this stem can serve such a launch: attention_prefill an attention of a chunk, for example.
  static bool meant(StringRef stem, StringRef attention) {
    if (attention.empty())
      return !stem.starts_with("attention");
    const bool decodes = stem == "attention_decode" || stem == "attention_batch";
    return attention == "attention_decode" ? decodes : stem.starts_with("attention") && !decodes;
  }

  /// The last override that means the launch. One pattern may match attentions and products: the family says which.
  const Override *forcedFor(Operation *op, const std::string &name, ArrayRef<Override> overrides) {
    if (example.empty())
      example = name;
    const Override *forced = nullptr;
    for (auto [i, override] : llvm::enumerate(overrides))
      if (meant(override.choice.stem, attentionOf(op)) &&
          cantFail(llvm::GlobPattern::create(override.pattern)).match(name)) {
        used.insert(i);
        forced = &override;
      }
    return forced;
  }

  /// The launch that the choice makes of a kern.attention_decode[_ve].
  static Operation *asDecode(Operation *op, DictionaryAttr choice) {
    if (Attribute cluster = choice.get("cluster")) {
      op->setAttr("cluster", cluster);
      return op;
    }
    if (auto gated = dyn_cast<kern::AttentionDecodeVeOp>(op))
      return asBatch<kern::AttentionBatchVeOp>(gated, choice);
    return asBatch<kern::AttentionBatchOp>(cast<kern::AttentionDecodeOp>(op), choice);
  }

  template <typename Batch, typename Op> static Operation *asBatch(Op attention, DictionaryAttr choice) {
    OpBuilder builder(attention);
    auto kv = cast<kern::KvType>(attention.getKv().getType());
    auto type = cast<RankedTensorType>(attention.getType());
    auto tuning = [&](StringRef name) { return choice.getAs<IntegerAttr>(name); };
    const kernels::Params params{{{"heads", type.getDimSize(1) / kv.getDim()},
                                  {"kv_heads", kv.getHeads()},
                                  {"D", kv.getDim()},
                                  {"ring", kv.getPositions()},
                                  {"chunk", tuning("chunk").getInt()}}};
    auto partials = RankedTensorType::get(
        {type.getDimSize(0) * kv.getHeads(), static_cast<int64_t>(kernels::attention_batch::partialFloats(params))},
        builder.getF32Type());
    SmallVector<Value> operands(attention->getOperands());
    operands.push_back(counters(attention, kv.getRows() * kv.getHeads())); // one for each row and head
    SmallVector<NamedAttribute> attributes = {builder.getNamedAttr("mult", attention.getMultAttr()),
                                              builder.getNamedAttr("window", attention.getWindowAttr()),
                                              builder.getNamedAttr("chunk", tuning("chunk")),
                                              builder.getNamedAttr("blocks", tuning("blocks"))};
    if (auto range = attention->template getAttrOfType<FloatAttr>("range"))
      attributes.push_back(builder.getNamedAttr("range", range));
    auto batch = Batch::create(builder, attention.getLoc(), TypeRange{partials, type}, operands, attributes);
    attention.getResult().replaceAllUsesWith(batch.getResult());
    attention.erase();
    return batch;
  }

  /// Shared by all launches that need as many: data orders those.
  static Value counters(Operation *attention, int64_t count) {
    auto program = attention->getParentOfType<kern::ProgramOp>();
    OpBuilder builder(attention);
    auto type = RankedTensorType::get({count}, builder.getIntegerType(32, false));
    const std::string name = llvm::formatv("attention.counters.{0}", count).str();
    if (!program.lookupSymbol(name)) {
      OpBuilder declarations(builder.getContext());
      declarations.setInsertionPoint(*program.getBody().getOps<func::FuncOp>().begin());
      kern::CountersOp::create(declarations, attention->getLoc(), name, type);
    }
    return kern::RefOp::create(builder, attention->getLoc(), type, FlatSymbolRefAttr::get(builder.getContext(), name));
  }

  static Operation *asProduct(kern::LinearOp linear) {
    OpBuilder builder(linear);
    auto product =
        kern::ProductOp::create(builder, linear.getLoc(), linear.getType(), linear.getX(), linear.getWeight(),
                                /*norm=*/false, /*relu2=*/false, DictionaryAttr(), ArrayAttr());
    linear.replaceAllUsesWith(product.getResult());
    linear.erase();
    return product;
  }

  LogicalResult choose(Operation *op, const Task &task, const std::string &target, const Options &options,
                       ArrayRef<Override> overrides) {
    const std::string name = nameOf(op, task.operand);
    const Override *forced = forcedFor(op, name, overrides);
    std::vector<Weighed> weighed;
    for (const codegen::Choice &choice : task.choices)
      weighed.push_back(weigh(task, choice, target, options));
    // What was measured says more than any prediction.
    auto rank = [](const Weighed &w) { return std::tuple(w.source != measured, w.us); };
    llvm::stable_sort(weighed, [&](const Weighed &a, const Weighed &b) { return rank(a) < rank(b); });
    if (!weighed.empty() && weighed.front().source == measured) {
      auto within = [](const Weighed &w) { return w.us + (w.leavesHalf() ? 0 : wholeUs); };
      auto end = llvm::find_if(weighed, [&](const Weighed &w) { return w.source != measured; });
      double least = within(weighed.front());
      for (const Weighed &w : llvm::make_range(weighed.begin(), end))
        least = std::min(least, within(w));
      const uint32_t memory = codegen::deviceModel(target)->blockShared + 1024;
      auto resident = [&](const Weighed &w) { return memory / (w.shape.sharedBytes + 1024); };
      auto key = [&](const Weighed &w) {
        const bool close = within(w) <= least + closeUs;
        return std::tuple(!close, close ? -static_cast<int64_t>(resident(w)) : 0, within(w));
      };
      auto best =
          std::min_element(weighed.begin(), end, [&](const Weighed &a, const Weighed &b) { return key(a) < key(b); });
      if (best != weighed.begin())
        best->reason = within(*best) > least ? "nearly as short, more blocks fit an SM" : "leaves half an SM";
      for (auto fastest = best, other = weighed.begin(); other != end; ++other)
        if (within(*other) <= least * (1 + nearShare) && other->leavesHalf() &&
            resident(*other) >= resident(*fastest) && other->shape.grid[0] >= fastest->shape.grid[0] &&
            other->shape.cluster < best->shape.cluster) {
          best = other; // the first of a size is the fastest
          best->reason = best == weighed.begin() ? "" : "nearly as short, in smaller clusters";
        }
      std::rotate(weighed.begin(), best, best + 1);
    }
    const bool library = forced && task.plain && forced->choice.stem == "cublaslt" && forced->choice.tuning.empty();
    if (forced && !library) {
      // Families of the same parameters with another meaning are none of a product's.
      const StringRef stem = forced->choice.stem;
      std::string why;
      if (attentionOf(op).empty() && stem != "gemv" && stem != "gemm" && stem != "wgemm")
        why = stem == "cublaslt" ? "cublaslt takes no parameters, and only products into which nothing is fused"
                                 : "products are served by gemv, gemm and wgemm";
      std::vector<Weighed> meant;
      if (why.empty())
        meant = completions(task, forced->choice, target, options, why);
      if (meant.empty())
        return op->emitError() << "--template " << forced->pattern << "=" << forced->choice.text() << " does not fit "
                               << name << ": " << why;
      Weighed best = *llvm::min_element(meant, [&](const Weighed &a, const Weighed &b) { return rank(a) < rank(b); });
      llvm::erase_if(weighed, [&](const Weighed &w) { return w.choice.text() == best.choice.text(); });
      best.reason = "by --template";
      weighed.insert(weighed.begin(), best);
    }
    if (task.plain && (!forced || library)) {
      auto linear = cast<kern::LinearOp>(op);
      const std::optional<Options::Library> algorithm = weighLibrary(weighed, *task.plain, target, options, library);
      if (weighed.front().choice.stem == "cublaslt") {
        linear.setLibrary("cublaslt");
        if (algorithm) {
          linear.setVersion(algorithm->version);
          linear.setAlgorithm(algorithm->algorithm);
        }
        linear.setConsideredAttr(linesOf(Builder(op->getContext()), weighed));
        return success();
      }
    }
    if (weighed.empty())
      return success(); // the default's constraint says why
    set(task.plain ? asProduct(cast<kern::LinearOp>(op)) : op, weighed);
    return success();
  }

  /// Adds cuBLASLt to what can serve a plain product, in front if it wins: always by `forced`; over kernels unless it
  /// and the best of them were measured and it is slower. A prediction does not decide, because the model knows
  /// nothing of its kernels. Its algorithm, if that was measured.
  std::optional<Options::Library> weighLibrary(std::vector<Weighed> &weighed, const codegen::Product &product,
                                               const std::string &target, const Options &options, bool forced) {
    const std::optional<Options::Library> times = options.measuredLibrary(target, product);
    Weighed library{{"cublaslt", {}}, times ? times->us : 0, times ? measured : predicted, {}};
    if (times) {
      concerned = true;
      library.choice.tuning = {{"algorithm", times->algorithm}};
    } else {
      library.us = codegen::predictLibraryUs(*codegen::deviceModel(target), product);
    }
    auto slower = [&](const Weighed &kernel) { return kernel.source == measured && kernel.us < library.us; };
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

  /// What an override can mean: itself, and the choices of its family with its parameters in place of theirs.
  std::vector<Weighed> completions(const Task &task, const codegen::Choice &given, const std::string &target,
                                   const Options &options, std::string &why) {
    std::vector<codegen::Choice> choices = {given};
    for (const codegen::Choice &choice : task.choices)
      if (choice.stem == given.stem) {
        codegen::Choice &completed = choices.emplace_back(choice);
        for (const auto &[key, value] : given.tuning)
          if (auto it = llvm::find_if(completed.tuning, [&](const auto &own) { return own.first == key; });
              it != completed.tuning.end())
            it->second = value;
          else
            completed.tuning.emplace_back(key, value);
      }
    std::vector<Weighed> meant;
    for (codegen::Choice &choice : choices)
      if (codegen::instanceOf(task.problem, choice, target, why))
        meant.push_back(weigh(task, std::move(choice), target, options));
    return meant;
  }

  Weighed weigh(const Task &task, codegen::Choice choice, const std::string &target, const Options &options) {
    std::string why;
    const codegen::Instance instance = *codegen::instanceOf(task.problem, choice, target, why);
    const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
    if (std::optional<double> us =
            options.measured(target, codegen::kernelName(*instance.family, instance.params), task.rows)) {
      concerned = true;
      return {std::move(choice), *us, measured, shape};
    }
    return {std::move(choice), codegen::predictUs(*codegen::deviceModel(target), instance), predicted, shape};
  }

  static ArrayAttr linesOf(Builder builder, ArrayRef<Weighed> weighed) {
    if (weighed.size() < 2)
      return {};
    SmallVector<Attribute> lines;
    for (const Weighed &w : weighed)
      lines.push_back(builder.getStringAttr(llvm::formatv("{0}: {1:F2} us {2}{3}{4}", w.choice.text(), w.us, w.source,
                                                          lines.empty() && !w.reason.empty() ? ", " : "",
                                                          lines.empty() ? w.reason : "")
                                                .str()));
    return builder.getArrayAttr(lines);
  }

  static void set(Operation *op, ArrayRef<Weighed> weighed) {
    Builder builder(op->getContext());
    SmallVector<NamedAttribute> choice = {
        builder.getNamedAttr("family", builder.getStringAttr(weighed.front().choice.stem))};
    for (const auto &[key, value] : weighed.front().choice.tuning)
      choice.push_back(builder.getNamedAttr(key, builder.getI64IntegerAttr(value)));
    if (isa<kern::AttentionDecodeOp, kern::AttentionDecodeVeOp>(op))
      op = asDecode(op, builder.getDictionaryAttr(choice));
    else
      op->setAttr("choice", builder.getDictionaryAttr(choice));
    if (auto attention = dyn_cast<kern::AttentionOp>(op);
        attention && weighed.front().choice.stem == "attention_prefill")
      attention.getCountersMutable().assign(counters(op, 1));
    if (ArrayAttr lines = linesOf(builder, weighed))
      op->setAttr("considered", lines);
  }

  llvm::SmallDenseSet<size_t> used; // overrides that some launch has met
  bool concerned = false;           // a time of --tuning is of some launch of the program
  std::string example;
  std::map<codegen::Problem, std::vector<codegen::Choice>> offered; // layers have the same problems, of one target
};

} // namespace
