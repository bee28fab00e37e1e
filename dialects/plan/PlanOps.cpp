// Verifiers of the `plan` operations.
#include "dialects/ElementTypes.h"
#include "dialects/plan/Plan.h"

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nanocc;
using namespace nanocc::plan;

/// So that sums of offsets and sizes stay far from overflow.
static constexpr int64_t largestBuffer = int64_t(1) << 48;

int64_t BufferOp::getBytes() {
  auto type = cast<RankedTensorType>(getType());
  return static_cast<int64_t>(kernels::bytesOf(*dtypeOf(type.getElementType()), type.getNumElements()));
}

LogicalResult ProgramOp::verify() {
  if (!getMemory())
    return success();
  for (StringRef space : {"constants", "kv", "state", "arena", "workspace"}) {
    auto bytes = getMemory()->getAs<IntegerAttr>(space);
    if (!bytes || bytes.getInt() < 0)
      return emitOpError() << "memory needs '" << space << "' in bytes";
  }
  if (auto bytes = getMemory()->getAs<IntegerAttr>("mapped"); bytes && bytes.getInt() < 0)
    return emitOpError("memory has fewer than 0 bytes of 'mapped'");
  return success();
}

LogicalResult BufferOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  const std::optional<kernels::DType> dtype = dtypeOf(type.getElementType());
  if (!dtype) {
    InFlightDiagnostic error = emitOpError() << "element type " << type.getElementType() << " must be one of ";
    listElementTypes(error, getContext());
    return error;
  }
  int64_t elements = 1;
  for (int64_t extent : type.getShape())
    if (extent < 1 || llvm::MulOverflow(elements, extent, elements) ||
        kernels::bytesOf(*dtype, elements) > static_cast<uint64_t>(largestBuffer))
      return emitOpError() << "must have positive extents and fewer than 2⁴⁸ bytes, has " << type;
  if (getOffset() && (*getOffset() % 256 || *getOffset() > static_cast<uint64_t>(largestBuffer)))
    return emitOpError() << "offset " << static_cast<int64_t>(*getOffset())
                         << " must be a multiple of 256 from 0 to 2⁴⁸";
  if ((getSpace() == Space::Arena) != getEntry().has_value())
    return emitOpError("an arena buffer, and only that, lives in one entry");
  if (getEntry() && (!getFirst() || !getLast() || *getFirst() > *getLast()))
    return emitOpError("needs a lifetime: first node, and last node not before it");
  return success();
}

static LogicalResult expectBuffer(SymbolTableCollection &symbols, Operation *op, FlatSymbolRefAttr symbol,
                                  StringRef role) {
  if (symbol && symbols.lookupNearestSymbolFrom<BufferOp>(op->getParentOfType<ProgramOp>(), symbol))
    return success();
  return op->emitOpError() << role << " must name a plan.buffer of this program";
}

/// The tensors that a step takes, and how many it makes; nullopt for what is no step.
static std::optional<std::pair<SmallVector<int64_t>, int64_t>> flowOf(Attribute step) {
  using Flow = std::optional<std::pair<SmallVector<int64_t>, int64_t>>;
  return TypeSwitch<Attribute, Flow>(step)
      .Case<RopeStepAttr>([](auto) {
        return Flow({{}, 1});
      })
      .Case<ConcatenateStepAttr>([](auto typed) {
        return Flow({llvm::to_vector(typed.getTensors()), 1});
      })
      .Case<QuantizeStepAttr>([](auto typed) {
        return Flow({{typed.getTensor()}, 2});
      })
      .Case<CastStepAttr, SliceStepAttr, PermuteStepAttr, PadStepAttr>([](auto typed) {
        return Flow({{typed.getTensor()}, 1});
      })
      .Default([](Attribute) { return Flow(); });
}

LogicalResult ConstantOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (FlatSymbolRefAttr part : getParts().getAsRange<FlatSymbolRefAttr>())
    if (failed(expectBuffer(symbols, *this, part, "a part")))
      return failure();
  if (getParts().empty() || getParts().size() != getTensors().size())
    return emitOpError("has one part or more, and a tensor of the recipe for each");
  auto module = (*this)->getParentOfType<ModuleOp>();
  for (FlatSymbolRefAttr source : getSources().getAsRange<FlatSymbolRefAttr>())
    if (!symbols.lookupNearestSymbolFrom<ParameterOp>(module, source))
      return emitOpError() << source << " is not a plan.parameter of this module";
  SmallVector<bool> layout(getSources().size(), false); // of each tensor: a layout step made it
  auto exists = [&](int64_t tensor) { return tensor >= 0 && tensor < static_cast<int64_t>(layout.size()); };
  for (Attribute step : getSteps()) {
    auto flow = flowOf(step);
    if (!flow)
      return emitOpError() << "unknown step " << step;
    const bool isLayout = isa<PermuteStepAttr, PadStepAttr>(step);
    for (int64_t tensor : flow->first) {
      if (!exists(tensor))
        return emitOpError() << step << " takes tensor " << tensor << ", which is not one before it";
      if (layout[tensor] && !isLayout)
        return emitOpError() << step << " is a value step on tensor " << tensor << ", which a layout step made";
    }
    layout.append(flow->second, isLayout);
  }
  for (int64_t tensor : getTensors())
    if (!exists(tensor))
      return emitOpError() << "a part holds tensor " << tensor << " of " << layout.size();
  return success();
}

LogicalResult RingOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (getParts().empty())
    return emitOpError("has one part or more");
  for (FlatSymbolRefAttr part : getParts().getAsRange<FlatSymbolRefAttr>())
    if (failed(expectBuffer(symbols, *this, part, "a part")))
      return failure();
  return success();
}

LogicalResult EntryOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (StringRef count : {"launches", "bytes", "flops"}) {
    auto value = getEager() ? getEager()->getAs<IntegerAttr>(count) : IntegerAttr();
    if (getEager() && (!value || value.getInt() < 0))
      return emitOpError() << "eager needs '" << count << "', 0 or more";
  }
  for (DictionaryAttr bindings : {getInputs(), getOutputs()})
    for (NamedAttribute binding : bindings)
      if (failed(expectBuffer(symbols, *this, dyn_cast<FlatSymbolRefAttr>(binding.getValue()),
                              "binding '" + binding.getName().str() + "'")))
        return failure();
  return success();
}

LogicalResult EntryOp::verifyRegions() {
  bool loops = false;
  for (Operation &op : getBody().front()) {
    if (isa<WhileOp>(op)) {
      if (getKind() != EntryKind::Generate)
        return op.emitOpError("is a loop: only a generate entry has them");
      loops = true;
    } else if (!isa<LaunchOp, GemmOp>(op)) {
      return op.emitOpError("is not a node: an entry holds plan.launch and plan.gemm");
    } else if (loops) {
      return op.emitOpError("comes after a loop: an entry's nodes come before");
    }
  }
  return success();
}

LogicalResult WhileOp::verifyRegions() {
  for (Operation &op : getBody().front())
    if (!isa<LaunchOp, GemmOp>(op))
      return op.emitOpError("is not a node: a loop holds plan.launch and plan.gemm");
  return success();
}

LogicalResult WhileOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto program = (*this)->getParentOfType<ProgramOp>();
  auto entry = symbols.lookupNearestSymbolFrom<EntryOp>(program, getEntryAttr());
  if (!entry || (entry.getKind() != EntryKind::Prefill && entry.getKind() != EntryKind::Decode))
    return emitOpError() << "repeats " << getEntryAttr() << ", which is not a prefill or decode entry of this program";
  if (failed(expectBuffer(symbols, *this, getGoAttr(), "the word that it goes on by")))
    return failure();
  auto type = cast<RankedTensorType>(symbols.lookupNearestSymbolFrom<BufferOp>(program, getGoAttr()).getType());
  if (!type.getElementType().isUnsignedInteger(32) || static_cast<int64_t>(getWord()) < 0 ||
      static_cast<int64_t>(getWord()) >= type.getNumElements())
    return emitOpError() << "goes on by element " << static_cast<int64_t>(getWord()) << " of " << getGoAttr()
                         << ", which is no u32 of it";
  return success();
}

static LogicalResult verifyNode(SymbolTableCollection &symbols, Operation *op, FlatSymbolRefAttr kernel,
                                ArrayAttr args) {
  if (!symbols.lookupNearestSymbolFrom<KernelOp>(op->getParentOfType<ProgramOp>(), kernel))
    return op->emitOpError() << kernel << " is not a plan.kernel of this program";
  for (auto [i, arg] : llvm::enumerate(args)) {
    if (auto buffer = dyn_cast<FlatSymbolRefAttr>(arg)) {
      if (failed(expectBuffer(symbols, op, buffer, "argument " + std::to_string(i))))
        return failure();
      continue;
    }
    if (isa<ConditionAttr>(arg))
      continue;
    auto scalar = dyn_cast<TypedAttr>(arg);
    if (!scalar || !(scalar.getType().isF32() || scalar.getType().isInteger(32)))
      return op->emitOpError() << "argument " << i << " must be a buffer, an i32, an f32 or a condition, is " << arg;
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyNode(symbols, *this, getKernelAttr(), getArgs());
}

LogicalResult GemmOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyNode(symbols, *this, getKernelAttr(), getArgs());
}

LogicalResult GemmOp::verify() {
  if (getVersion().has_value() != getAlgorithm().has_value() || static_cast<int64_t>(getAlgorithm().value_or(0)) < 0)
    return emitOpError("an algorithm is one of the library's of a version, counted from 0");
  return success();
}

LogicalResult LaunchOp::verify() {
  for (auto [shape, name] : {std::pair(getGrid(), "grid"), std::pair(getBlock(), "block")})
    if (shape.size() != 3 || llvm::any_of(shape, [](int32_t extent) { return extent <= 0; }))
      return emitOpError() << name << " must be three positive extents";
  if (int64_t(getBlock()[0]) * getBlock()[1] * getBlock()[2] > 1024)
    return emitOpError("a block has at most 1024 threads");
  for (int32_t early : getProgrammatic().value_or(ArrayRef<int32_t>()))
    if (!llvm::is_contained(getAfter().value_or(ArrayRef<int32_t>()), early))
      return emitOpError() << "programmatic node " << early << " is not one it comes after";
  return success();
}

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"
