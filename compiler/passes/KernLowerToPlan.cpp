// From launches on values to nodes on buffers.
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-lower-to-plan"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNLOWERTOPLAN
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(nodesMade, "Nodes made");
ALWAYS_ENABLED_STATISTIC(libraryCalls, "Nodes that call a library");

namespace {

/// Scratch of cuBLASLt: what NVIDIA recommends for Hopper, 32 MiB.
constexpr int64_t gemmWorkspaceBytes = 32 << 20;
/// Driver that the CUDA 13.0 toolchain's cubins need.
constexpr int64_t minDriver = 13000;

class ProgramLowering {
public:
  explicit ProgramLowering(kern::ProgramOp source)
      : source(source), builder(source.getContext()), cpu(source.getSymName() == "cpu") {}

  LogicalResult run() {
    builder.setInsertionPoint(source);
    plan::ProgramOp::create(builder, source.getLoc(), source.getSymName(), source.getPrecision(), cpu ? 0 : minDriver,
                            DictionaryAttr());
    program = cast<plan::ProgramOp>(source->getPrevNode());
    Block *body = &program.getBody().emplaceBlock();
    builder.setInsertionPointToEnd(body);
    declarations();
    for (func::FuncOp entry : source.getOps<func::FuncOp>())
      if (failed(lower(entry)))
        return failure();
    if (usesLibrary) {
      auto words = RankedTensorType::get({gemmWorkspaceBytes / 4}, builder.getI32Type());
      buffer(source.getLoc(), "workspace", plan::Space::Workspace, words);
    }
    LDBG() << program.getSymName() << ": " << llvm::range_size(program.getOps<plan::BufferOp>()) << " buffers, "
           << llvm::range_size(program.getOps<plan::KernelOp>()) << " kernels";
    source.erase();
    return success();
  }

private:
  IntegerAttr number(int64_t value) { return builder.getI64IntegerAttr(value); }
  FlatSymbolRefAttr symbol(StringRef name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }

  FlatSymbolRefAttr buffer(Location loc, StringRef name, plan::Space space, Type type, FlatSymbolRefAttr entry = {},
                           int64_t first = 0, int64_t last = 0) {
    plan::BufferOp::create(builder, loc, name, space, cast<RankedTensorType>(type), IntegerAttr(), entry,
                           entry ? builder.getI64IntegerAttr(first) : IntegerAttr(),
                           entry ? builder.getI64IntegerAttr(last) : IntegerAttr());
    return symbol(name);
  }

  /// A constant of one part: what `steps` make as tensor `tensor`, which is f32, in the part's element type.
  void constant(Location loc, StringRef name, Type type, ArrayAttr sources, int64_t tensor,
                SmallVector<Attribute> steps) {
    FlatSymbolRefAttr part = buffer(loc, name, plan::Space::Constant, type);
    if (Type element = cast<RankedTensorType>(type).getElementType(); !element.isF32()) {
      steps.push_back(plan::CastStepAttr::get(builder.getContext(), tensor, element));
      ++tensor;
    }
    plan::ConstantOp::create(builder, loc, builder.getArrayAttr(part), builder.getDenseI64ArrayAttr(tensor), sources,
                             builder.getArrayAttr(steps));
  }

  /// "w", "w.1"
  static std::string partName(StringRef symbol, uint64_t part) {
    return part ? (symbol + "." + Twine(part)).str() : symbol.str();
  }

  /// The values and the scales of the rows of tensor `tensor`, which is f32.
  void quantized(kern::WeightOp weight, int64_t tensor, SmallVector<Attribute> steps) {
    SmallVector<Attribute> parts;
    for (auto [part, type] : llvm::enumerate(weight.getPartTypes()))
      parts.push_back(buffer(weight.getLoc(), partName(weight.getSymName(), part), plan::Space::Constant, type));
    steps.push_back(
        plan::QuantizeStepAttr::get(builder.getContext(), tensor, plan::Format::E4M3, /*axis=*/1, /*group=*/0));
    plan::ConstantOp::create(builder, weight.getLoc(), builder.getArrayAttr(parts),
                             builder.getDenseI64ArrayAttr({tensor + 1, tensor + 2}), weight.getParams(),
                             builder.getArrayAttr(steps));
  }

  void declarations() {
    for (Operation &op : source.getBody().front()) {
      if (auto weight = dyn_cast<kern::WeightOp>(op)) {
        // Parameters are f32 to a recipe: one below the other, then cast.
        SmallVector<Attribute> steps;
        int64_t tensor = 0, count = static_cast<int64_t>(weight.getParams().size());
        if (count > 1) {
          steps.push_back(plan::ConcatenateStepAttr::get(builder.getContext(),
                                                         llvm::to_vector(llvm::seq<int64_t>(0, count)), /*axis=*/0));
          tensor = count;
        }
        if (isa<Float8E4M3FNType>(getElementTypeOrSelf(weight.getType())))
          quantized(weight, tensor, std::move(steps));
        else
          constant(op.getLoc(), weight.getSymName(), weight.getType(), weight.getParams(), tensor, std::move(steps));
      } else if (auto table = dyn_cast<kern::RopeTableOp>(op)) {
        ArrayRef<int64_t> shape = cast<RankedTensorType>(table.getType()).getShape();
        constant(op.getLoc(), table.getSymName(), table.getType(), builder.getArrayAttr({}), 0,
                 {plan::RopeStepAttr::get(builder.getContext(), table.getBaseAttr(), shape[0], shape[1])});
      } else if (auto counters = dyn_cast<kern::CountersOp>(op)) {
        buffer(op.getLoc(), counters.getSymName(), plan::Space::State, counters.getType());
      } else if (auto cache = dyn_cast<kern::CacheOp>(op)) {
        auto ring = cast<kern::KvType>(cache.getType());
        FlatSymbolRefAttr values = buffer(op.getLoc(), cache.getSymName(), plan::Space::Kv,
                                          RankedTensorType::get(ring.getShape(), ring.getElement()));
        plan::RingOp::create(builder, op.getLoc(), cache.getSymName(), builder.getArrayAttr(values));
      }
    }
  }

  LogicalResult lower(func::FuncOp function) {
    auto shape = function->getAttrOfType<DictionaryAttr>(nano::NanoDialect::entryAttr);
    std::optional<plan::EntryKind> kind =
        shape ? plan::symbolizeEntryKind(shape.getAs<StringAttr>("kind").getValue()) : std::nullopt;
    if (!kind || *kind == plan::EntryKind::Generate)
      return function.emitError("is not an entry point: it needs 'nano.entry' with kind prefill, decode or score");
    if (function.isExternal())
      return function.emitError("is not an entry point: it has no body");
    std::string name = function.getName().str();
    Block &body = function.getBody().front();

    // Nodes in program order, and for every value the last of them that reads it.
    SmallVector<Operation *> launches;
    DenseMap<Value, int64_t> lastUse;
    for (Operation &op : body.without_terminator())
      if (isa<kern::KernelOp>(op)) {
        for (Value operand : op.getOperands())
          lastUse[operand] = launches.size();
        launches.push_back(&op);
      } else if (!isa<kern::RefOp>(op)) {
        return op.emitOpError("is neither a launch nor a kern.ref");
      }
    int64_t end = static_cast<int64_t>(launches.size()) - 1;
    DenseMap<Value, FlatSymbolRefAttr> buffers;
    SmallVector<NamedAttribute> inputs, outputs;
    auto binding = [](DictionaryAttr attributes) {
      return attributes ? attributes.getAs<StringAttr>(nano::NanoDialect::bindingAttr) : StringAttr();
    };

    for (BlockArgument argument : body.getArguments()) {
      StringAttr bound = binding(function.getArgAttrDict(argument.getArgNumber()));
      if (!bound)
        return function.emitError() << "argument " << argument.getArgNumber() << " needs 'nano.binding'";
      buffers[argument] = buffer(function.getLoc(), name + "." + bound.str(), plan::Space::State, argument.getType());
      inputs.push_back(builder.getNamedAttr(bound.getValue(), buffers[argument]));
    }
    auto results = body.getTerminator()->getOperands();
    for (auto [i, value] : llvm::enumerate(results)) {
      StringAttr bound = binding(function.getResultAttrDict(i));
      if (!bound)
        return function.emitError() << "result " << i << " needs 'nano.binding'";
      // The host reads it after the entry.
      lastUse[value] = end;
      outputs.push_back(NamedAttribute(bound, {}));
    }
    for (auto [i, op] : llvm::enumerate(launches))
      for (Value result : op->getResults()) {
        std::string label = (name + "." + Twine(i) + "." + op->getName().stripDialect()).str();
        if (op->getNumResults() > 1)
          label += ("." + Twine(cast<OpResult>(result).getResultNumber())).str();
        // One stage past the last reader: under programmatic launch a consumer two stages on may start early
        // (kernels_templates/cuda-rules.md, rule 7).
        int64_t last = std::min(lastUse.lookup(result) + 1, end);
        if (!lastUse.count(result))
          last = std::min<int64_t>(i + 1, end);
        buffers[result] = buffer(op->getLoc(), label, plan::Space::Arena, result.getType(), symbol(name), i, last);
      }
    for (auto [output, value] : llvm::zip(outputs, results))
      output = NamedAttribute(output.getName(), buffers.lookup(value));
    for (Operation &op : body)
      if (auto ref = dyn_cast<kern::RefOp>(op))
        buffers[ref] = symbol(partName(ref.getSymbol(), ref.getPart()));

    OpBuilder::InsertionGuard guard(builder);
    auto entry = plan::EntryOp::create(
        builder, function.getLoc(), name, *kind, shape.getAs<IntegerAttr>("tokens").getInt(),
        shape.getAs<IntegerAttr>("rows").getInt(), builder.getDictionaryAttr(inputs),
        builder.getDictionaryAttr(outputs), function->getAttrOfType<DictionaryAttr>(kern::KernDialect::eagerAttr));
    auto module = source->getParentOfType<ModuleOp>();
    const kernels::Limits limits{entry.getTokens(), entry.getRows(), static_cast<uint64_t>(modelFact(module, "vocab")),
                                 static_cast<uint64_t>(modelFact(module, "max_seq"))};
    Block *nodes = &entry.getBody().emplaceBlock();
    for (Operation *op : launches) {
      FailureOr<KernelLaunch> launch = resolve(cast<kern::KernelOp>(op));
      if (failed(launch))
        return failure();
      FlatSymbolRefAttr instance = declareKernel(program, *launch, op->getLoc());
      builder.setInsertionPointToEnd(nodes);
      node(op, *launch, instance, buffers, limits);
    }
    return success();
  }

  void node(Operation *op, const KernelLaunch &launch, FlatSymbolRefAttr instance,
            const DenseMap<Value, FlatSymbolRefAttr> &buffers, const kernels::Limits &limits) {
    SmallVector<Attribute> args;
    for (Value buffer : launch.buffers)
      args.push_back(buffers.lookup(buffer));
    size_t scalar = 0;
    for (const kernels::Arg &arg : launch.kernel->args)
      if (arg.access == kernels::Access::F32)
        args.push_back(builder.getF32FloatAttr(launch.scalars[scalar++].f));
      else if (isScalar(arg.access))
        args.push_back(builder.getI32IntegerAttr(launch.scalars[scalar++].i));
    const kernels::Values numbers = launch.numbers();
    kernels::Cost cost = launch.kernel->cost(numbers);
    ++nodesMade;
    auto considered = op->getAttrOfType<ArrayAttr>("considered");
    if (auto product = dyn_cast<kern::ProductOp>(op); product && product.usesLibrary() && !cpu) {
      usesLibrary = true;
      ++libraryCalls;
      DictionaryAttr choice = product.getChoiceAttr();
      plan::GemmOp::create(builder, op->getLoc(), instance, builder.getArrayAttr(args), number(cost.bytes),
                           number(cost.flops), DenseI32ArrayAttr(), choice.getAs<StringAttr>("version"),
                           choice.getAs<IntegerAttr>("algorithm"), considered);
      return;
    }
    const kernels::LaunchShape shape = cpu ? kernels::LaunchShape{} : launch.kernel->shape(numbers);
    auto extents = [&](uint32_t x) { return builder.getDenseI32ArrayAttr({static_cast<int32_t>(x), 1, 1}); };
    plan::LaunchOp::create(builder, op->getLoc(), instance, builder.getArrayAttr(args), extents(shape.blocks),
                           extents(shape.threads), number(shape.sharedBytes), number(cost.bytes), number(cost.flops),
                           DenseI32ArrayAttr(), DenseI32ArrayAttr(), maps(launch, limits), considered);
  }

  ArrayAttr maps(const KernelLaunch &launch, const kernels::Limits &limits) {
    SmallVector<Attribute> made;
    auto list = [](const auto &values) { return SmallVector<int64_t>(values.begin(), values.end()); };
    for (const kernels::TensorMap &map : launch.kernel->maps(launch.numbers(), limits))
      made.push_back(plan::TensorMapAttr::get(builder.getContext(), launch.kernel->indexOf(map.arg), list(map.extents),
                                              list(map.strides), list(map.box), map.swizzle));
    return made.empty() ? ArrayAttr() : builder.getArrayAttr(made);
  }

  kern::ProgramOp source;
  plan::ProgramOp program;
  OpBuilder builder;
  bool cpu, usesLibrary = false;
};

struct KernLowerToPlanPass : nanocc::impl::KernLowerToPlanBase<KernLowerToPlanPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (nano::ParamDeclOp param : llvm::make_early_inc_range(module.getOps<nano::ParamDeclOp>())) {
      OpBuilder builder(param);
      plan::ParameterOp::create(builder, param.getLoc(), param.getSymName(),
                                cast<RankedTensorType>(param.getType()).getShape(), param.getTensor());
      param.erase();
    }
    for (kern::ProgramOp program : llvm::make_early_inc_range(module.getOps<kern::ProgramOp>()))
      if (failed(ProgramLowering(program).run()))
        return signalPassFailure();
  }
};

} // namespace
