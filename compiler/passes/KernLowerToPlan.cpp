// From launches on values to nodes on buffers.
#include "compiler/analysis/Family.h"
#include "compiler/options/Options.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/DenseMap.h"
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

  void declarations() {
    for (Operation &op : source.getBody().front()) {
      if (auto weight = dyn_cast<kern::WeightOp>(op)) {
        FlatSymbolRefAttr name = buffer(op.getLoc(), weight.getSymName(), plan::Space::Constant, weight.getType());
        plan::ConstantOp::create(
            builder, op.getLoc(), name,
            builder.getArrayAttr(plan::CastStepAttr::get(
                builder.getContext(), llvm::to_vector(weight.getParams().getAsRange<FlatSymbolRefAttr>()))));
      } else if (auto table = dyn_cast<kern::RopeTableOp>(op)) {
        FlatSymbolRefAttr name = buffer(op.getLoc(), table.getSymName(), plan::Space::Constant, table.getType());
        plan::ConstantOp::create(
            builder, op.getLoc(), name,
            builder.getArrayAttr(plan::RopeStepAttr::get(builder.getContext(), table.getBaseAttr())));
      } else if (auto counters = dyn_cast<kern::CountersOp>(op)) {
        buffer(op.getLoc(), counters.getSymName(), plan::Space::State, counters.getType());
      } else if (auto cache = dyn_cast<kern::CacheOp>(op)) {
        auto ring = cast<kern::KvType>(cache.getType());
        buffer(op.getLoc(), cache.getSymName(), plan::Space::Kv,
               RankedTensorType::get(ring.getShape(), ring.getElement()));
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
        // (cuda-rules.md, rule 7).
        int64_t last = std::min(lastUse.lookup(result) + 1, end);
        if (!lastUse.count(result))
          last = std::min<int64_t>(i + 1, end);
        buffers[result] = buffer(op->getLoc(), label, plan::Space::Arena, result.getType(), symbol(name), i, last);
      }
    for (auto [output, value] : llvm::zip(outputs, results))
      output = NamedAttribute(output.getName(), buffers.lookup(value));
    for (Operation &op : body)
      if (auto ref = dyn_cast<kern::RefOp>(op))
        buffers[ref] = ref.getSymbolAttr();

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
      FailureOr<FamilyCall> call = resolve(cast<kern::KernelOp>(op));
      if (failed(call))
        return failure();
      FlatSymbolRefAttr instance = declareKernel(program, *call, op->getLoc());
      builder.setInsertionPointToEnd(nodes);
      node(op, *call, instance, buffers, limits);
    }
    return success();
  }

  void node(Operation *op, const FamilyCall &call, FlatSymbolRefAttr instance,
            const DenseMap<Value, FlatSymbolRefAttr> &buffers, const kernels::Limits &limits) {
    SmallVector<Attribute> args;
    for (Value operand : op->getOperands())
      args.push_back(buffers.lookup(operand));
    for (Value result : op->getResults())
      args.push_back(buffers.lookup(result));
    for (TypedAttr scalar : cast<kern::KernelOp>(op).getKernelCall().scalars)
      args.push_back(scalar);
    kernels::Cost cost = call.cost();
    ++nodesMade;
    if (auto linear = dyn_cast<kern::LinearOp>(op); linear && linear.getLibrary()) {
      usesLibrary = true;
      ++libraryCalls;
      plan::GemmOp::create(builder, op->getLoc(), instance, builder.getArrayAttr(args), number(cost.bytes),
                           number(cost.flops), DenseI32ArrayAttr(), linear.getVersionAttr(), linear.getAlgorithmAttr(),
                           linear.getConsideredAttr());
      return;
    }
    kernels::LaunchShape shape = call.shape();
    auto extents = [&](const uint32_t(&values)[3]) {
      return builder.getDenseI32ArrayAttr(SmallVector<int32_t>(values, values + 3));
    };
    plan::LaunchOp::create(builder, op->getLoc(), instance, builder.getArrayAttr(args), extents(shape.grid),
                           extents(shape.block), number(shape.sharedBytes), number(cost.bytes), number(cost.flops),
                           DenseI32ArrayAttr(), DenseI32ArrayAttr(), maps(call, limits),
                           op->getAttrOfType<ArrayAttr>("considered"));
  }

  ArrayAttr maps(const FamilyCall &call, const kernels::Limits &limits) {
    SmallVector<Attribute> made;
    auto list = [](const auto &values) { return SmallVector<int64_t>(values.begin(), values.end()); };
    for (const auto &[arg, map] : call.maps(limits))
      made.push_back(plan::TensorMapAttr::get(builder.getContext(), arg, list(map.extents), list(map.strides),
                                              list(map.box), map.swizzle));
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
