// From what to how: one launch per operation, for every target.
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/sample/sample_layout.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/DebugLog.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "nano-lower-to-kern"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_NANOLOWERTOKERN
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(programs, "Programs made");
ALWAYS_ENABLED_STATISTIC(launches, "Launches made");

namespace {

/// Declarations of one program, made on first use.
class ProgramBuilder {
public:
  ProgramBuilder(ModuleOp module, const Options &options, StringRef target)
      : options(options), builder(module.getContext()), compute(builder.getF32Type()) {
    if (options.precision != "f32")
      compute = builder.getBF16Type();
    builder.setInsertionPointToEnd(module.getBody());
    program = kern::ProgramOp::create(builder, module.getLoc(), target, options.precision);
    program.getBody().emplaceBlock();
  }

  kern::ProgramOp program;

  /// A matrix that products alone read.
  kern::WeightOp matrix(nano::ParamDeclOp param) {
    const Type element = options.precision == "fp8" ? Type(Float8E4M3FNType::get(builder.getContext())) : compute;
    auto type = RankedTensorType::get(cast<RankedTensorType>(param.getType()).getShape(), element);
    const std::string name = (param.getSymName() + (element == compute ? "" : ".f8")).str();
    declare(name, type, [&](OpBuilder &b, StringRef symbol) {
      kern::WeightOp::create(b, param.getLoc(), symbol, FlatSymbolRefAttr::get(param.getSymNameAttr()), type);
    });
    return cast<kern::WeightOp>(program.lookupSymbol(name));
  }

  /// Any other parameter as the program keeps it: matrices in the compute type, vectors in f32.
  std::pair<FlatSymbolRefAttr, Type> weight(nano::ParamDeclOp param) {
    auto shape = cast<RankedTensorType>(param.getType()).getShape();
    auto type = RankedTensorType::get(shape, shape.size() > 1 ? compute : builder.getF32Type());
    return declare(param.getSymName().str(), type, [&](OpBuilder &b, StringRef name) {
      kern::WeightOp::create(b, param.getLoc(), name, FlatSymbolRefAttr::get(param.getSymNameAttr()), type);
    });
  }

  std::pair<FlatSymbolRefAttr, Type> ropeTable(nano::RopeOp rope) {
    int64_t dim = cast<ShapedType>(rope.getType()).getShape().back() / int64_t(rope.getHeads());
    Type element = rope.getBf16Table() ? Type(builder.getBF16Type()) : compute;
    auto type = RankedTensorType::get({options.maxSeq, dim}, element);
    double base = rope.getBase().convertToDouble();
    std::string name = llvm::formatv("rope.{0}.{1}.{2}", base, dim, element).str();
    return declare(name, type, [&](OpBuilder &b, StringRef symbol) {
      kern::RopeTableOp::create(b, rope.getLoc(), symbol, rope.getBase(), type);
    });
  }

  std::pair<FlatSymbolRefAttr, Type> ring(nano::CacheOp cache) {
    auto type = kern::KvType::get(builder.getContext(), options.rows(), cache.getHeads(), positions(cache),
                                  cache.getDim(), compute);
    return declare(cache.getSymName().str(), type,
                   [&](OpBuilder &b, StringRef name) { kern::CacheOp::create(b, cache.getLoc(), name, type); });
  }

  /// One counter per row of the sampler, apart from any other launch's: nothing else orders those.
  std::pair<FlatSymbolRefAttr, Type> sampleCounters(Location loc) {
    auto type = RankedTensorType::get({options.rows()}, builder.getIntegerType(32, false));
    return declare("sample.counters", type,
                   [&](OpBuilder &b, StringRef name) { kern::CountersOp::create(b, loc, name, type); });
  }

  /// Earlier positions a token of this layer sees. Without a window: all there can be.
  int64_t window(nano::CacheOp cache) {
    return cache.getWindow() ? std::min(options.maxSeq, static_cast<int64_t>(*cache.getWindow())) : options.maxSeq;
  }
  /// A token sees itself and `window` before it.
  int64_t positions(nano::CacheOp cache) { return std::min(options.maxSeq, window(cache) + 1); }

private:
  template <typename Make> std::pair<FlatSymbolRefAttr, Type> declare(const std::string &name, Type type, Make make) {
    if (known.insert(name).second) {
      OpBuilder::InsertionGuard guard(builder);
      // Declarations before functions, in order of first use.
      Block *body = &program.getBody().front();
      auto function = llvm::find_if(*body, [](Operation &op) { return isa<func::FuncOp>(op); });
      builder.setInsertionPoint(body, function);
      make(builder, name);
    }
    return {FlatSymbolRefAttr::get(builder.getContext(), name), type};
  }

  const Options &options;
  OpBuilder builder;
  Type compute;
  llvm::StringSet<> known;
};

/// Lowers one entry point into a program.
class EntryLowering {
public:
  EntryLowering(func::FuncOp source, ProgramBuilder &program)
      : source(source), program(program), builder(source.getContext()) {}

  LogicalResult run() {
    auto shape = source->getAttrOfType<DictionaryAttr>(nano::NanoDialect::entryAttr);
    if (!shape || source.isExternal())
      return source.emitError("is not an entry point: nano-fix-shapes must run first");
    tokens = shape.getAs<IntegerAttr>("tokens").getInt();
    rows = shape.getAs<IntegerAttr>("rows").getInt();

    builder.setInsertionPointToEnd(&program.program.getBody().front());
    target = func::FuncOp::create(builder, source.getLoc(), source.getName(), source.getFunctionType());
    target->setAttr(nano::NanoDialect::entryAttr, shape);
    if (ArrayAttr attributes = source.getArgAttrsAttr())
      target.setAllArgAttrs(attributes);
    if (ArrayAttr attributes = source.getResAttrsAttr())
      target.setAllResultAttrs(attributes);
    Block *body = target.addEntryBlock();
    map.map(source.getArguments(), body->getArguments());
    builder.setInsertionPointToStart(body);
    for (Operation &op : source.getBody().front().without_terminator())
      if (failed(lower(&op)))
        return failure();
    SmallVector<Value> results;
    for (Value value : source.getBody().front().getTerminator()->getOperands())
      results.push_back(map.lookup(value));
    func::ReturnOp::create(builder, source.getBody().front().getTerminator()->getLoc(), results);
    target.setType(builder.getFunctionType(target.getArgumentTypes(), target.getResultTypes()));
    return success();
  }

private:
  Value at(Value value) { return map.lookup(value); }

  /// A step input that the entry gets only if some launch reads it.
  Value input(StringRef name, int64_t count) {
    auto [slot, fresh] = inputs.try_emplace(name);
    if (fresh) {
      unsigned index = target.getNumArguments();
      (void)target.insertArgument(
          index, RankedTensorType::get({count}, builder.getI32Type()),
          builder.getDictionaryAttr(builder.getNamedAttr(nano::NanoDialect::bindingAttr, builder.getStringAttr(name))),
          source.getLoc());
      slot->second = target.getArgument(index);
    }
    return slot->second;
  }

  Value ref(Location loc, std::pair<FlatSymbolRefAttr, Type> declaration) {
    return kern::RefOp::create(builder, loc, declaration.second, declaration.first);
  }
  Value weight(Operation *op, FlatSymbolRefAttr symbol) {
    return ref(op->getLoc(), program.weight(nano::lookupParam(op, symbol)));
  }

  LogicalResult lower(Operation *op) {
    Location loc = op->getLoc();
    return TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](nano::EmbedOp e) {
          return done(e, kern::EmbedOp::create(builder, loc, TypeRange(e.getType()), at(e.getTokens()),
                                               weight(e, e.getTableAttr()), /*norm=*/false, Value(), Value(), Value(),
                                               Value(), Value(), IntegerAttr()));
        })
        .Case([&](nano::RmsNormOp e) {
          int64_t width = cast<ShapedType>(e.getType()).getShape().back() / int64_t(e.getGroups());
          return done(e, kern::RmsNormOp::create(builder, loc, e.getType(), at(e.getX()), width));
        })
        .Case([&](nano::SmearOp e) {
          Value gate = weight(e, e.getGateAttr()), lambda = weight(e, e.getLambdaAttr());
          return done(e, kern::SmearOp::create(builder, loc, e.getType(), at(e.getU()), at(e.getPrev()), gate, lambda));
        })
        .Case([&](nano::LinearOp e) {
          kern::WeightOp matrix = program.matrix(nano::lookupParam(e, e.getWeightAttr()));
          auto product = kern::ProductOp::create(builder, loc, e.getType(), at(e.getX()), matrix.refer(builder, loc));
          map.map(e.getResult(), product.getResult());
          return success();
        })
        .Case([&](nano::RopeOp e) {
          Value table = ref(loc, program.ropeTable(e));
          return done(e,
                      kern::RopeOp::create(builder, loc, e.getType(), at(e.getX()), table, input("positions", tokens)));
        })
        .Case([&](nano::ScaleOp e) {
          return done(e, kern::ScaleOp::create(builder, loc, e.getType(), at(e.getX()), e.getFactorAttr()));
        })
        .Case([&](nano::ValueGateOp e) {
          Value table = weight(e, e.getTableAttr()), gate = weight(e, e.getGateAttr());
          return done(e, kern::ValueGateOp::create(builder, loc, e.getType(), at(e.getV()), at(e.getH()),
                                                   at(e.getTokens()), table, gate, e.getRangeAttr()));
        })
        .Case([&](nano::AttentionOp e) { return attention(e); })
        .Case([&](nano::AddOp e) {
          return done(e, kern::AddOp::create(builder, loc, e.getType(), at(e.getA()), at(e.getB())));
        })
        .Case([&](nano::Relu2Op e) { return done(e, kern::Relu2Op::create(builder, loc, e.getType(), at(e.getX()))); })
        .Case([&](nano::MixOp e) {
          Value resid = weight(e, e.getResidAttr()), skip = weight(e, e.getSkipAttr());
          return done(e, kern::MixOp::create(builder, loc, e.getType(), at(e.getX()), at(e.getX0()), resid, skip,
                                             e.getLayer()));
        })
        .Case([&](nano::BackoutOp e) {
          return done(e, kern::BackoutOp::create(builder, loc, e.getType(), at(e.getX()), at(e.getMid()),
                                                 weight(e, e.getLambdaAttr())));
        })
        .Case([&](nano::LastOp e) {
          return done(e, kern::LastOp::create(builder, loc, e.getType(), at(e.getX()), at(e.getIndex())));
        })
        .Case([&](nano::SoftcapOp e) {
          return done(e, kern::SoftcapOp::create(builder, loc, e.getType(), at(e.getZ()), cap(e.getCapAttr())));
        })
        .Case([&](nano::SampleOp e) {
          const int64_t sampled = cast<ShapedType>(e.getType()).getDimSize(0);
          auto words = static_cast<int64_t>(kernels::SampleLayout(e.getVocab()).partialWords(sampled));
          auto partials = RankedTensorType::get({sampled * words}, builder.getF32Type());
          auto launch = kern::SampleOp::create(
              builder, loc, partials, e.getType(), at(e.getZ()), at(e.getIndex()), at(e.getSteps()),
              at(e.getSampling()), ref(loc, program.sampleCounters(loc)), cap(e.getCapAttr()), e.getVocabAttr());
          map.map(e.getResult(), launch.getResult());
          return success();
        })
        .Case([&](nano::NllOp e) {
          return done(e, kern::NllOp::create(builder, loc, e.getType(), at(e.getLogits()), at(e.getTargets())));
        })
        .Default([](Operation *other) { return other->emitOpError("has no lowering to kern"); });
  }

  LogicalResult attention(nano::AttentionOp e) {
    nano::CacheOp cache = nano::lookupCache(e, e.getCacheAttr());
    Value ring = ref(e.getLoc(), program.ring(cache));
    Value k = at(e.getK()), v = at(e.getV());
    Value rowOf = input("rows", tokens), positions = input("positions", tokens);
    Value starts = input("starts", rows), ends = input("ends", rows);
    auto launch =
        kern::AttentionOp::create(builder, e.getLoc(), e.getType(), at(e.getQ()), k, v, ring, rowOf, positions, starts,
                                  /*counters=*/Value(), program.window(cache), DictionaryAttr(), ArrayAttr());
    kern::KvWriteOp::create(builder, e.getLoc(), k, v, rowOf, positions, ends, ring);
    return done(e, launch);
  }

  FloatAttr cap(FloatAttr given) { return given ? given : builder.getF32FloatAttr(0); }

  LogicalResult done(Operation *from, Operation *to) {
    map.map(from->getResult(0), to->getResult(0));
    return success();
  }

  func::FuncOp source, target;
  ProgramBuilder &program;
  OpBuilder builder;
  IRMapping map;
  llvm::StringMap<Value> inputs;
  int64_t tokens = 0, rows = 0;
};

struct NanoLowerToKernPass : nanocc::impl::NanoLowerToKernBase<NanoLowerToKernPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Options> options = getOptions(module);
    if (failed(options))
      return signalPassFailure();
    auto entries = llvm::to_vector(module.getOps<func::FuncOp>());
    for (const std::string &target : options->targets) {
      ProgramBuilder program(module, *options, target);
      ++programs;
      for (func::FuncOp entry : entries)
        if (failed(EntryLowering(entry, program).run()))
          return signalPassFailure();
      for (func::FuncOp entry : program.program.getOps<func::FuncOp>()) {
        auto made = entry.getOps<kern::KernelOp>();
        const auto count = std::distance(made.begin(), made.end());
        LDBG() << target << " " << entry.getSymName() << ": " << count << " launches";
        launches += count;
      }
    }
    for (func::FuncOp entry : entries)
      entry.erase();
    for (nano::CacheOp cache : llvm::make_early_inc_range(module.getOps<nano::CacheOp>()))
      cache.erase();
  }
};

} // namespace
