#include "compiler/analysis/KernelLaunch.h"

#include "codegen/Instantiate.h"
#include "codegen/Templates.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nanocc;

/// What parameters and 32-bit scalars can be made of: static tensors of rank 1 and more, and no activation of 2³¹
/// elements.
static LogicalResult verifyShapes(kern::KernelOp op) {
  SmallVector<Value> values(op->getOperands());
  llvm::append_range(values, op->getResults());
  for (Value value : values) {
    if (isa<kern::KvType>(value.getType()))
      continue;
    auto tensor = dyn_cast<RankedTensorType>(value.getType());
    auto outside = [](int64_t extent) { return extent < 1 || extent > INT32_MAX; };
    if (!tensor || tensor.getRank() == 0 || llvm::any_of(tensor.getShape(), outside))
      return op->emitOpError() << "works on tensors of static, positive extents, not on " << value.getType();
    int64_t elements = 1;
    for (int64_t extent : tensor.getShape())
      if (llvm::MulOverflow(elements, extent, elements) ||
          (elements > INT32_MAX && !isa_and_nonnull<kern::RefOp>(value.getDefiningOp())))
        return op->emitOpError() << "activation " << tensor
                                 << " has more than 2³¹ elements; use smaller prefill buckets";
  }
  return success();
}

template <typename T> static const T *find(ArrayRef<std::pair<StringRef, T>> list, std::string_view name) {
  for (const auto &[key, value] : list)
    if (key == StringRef(name))
      return &value;
  return nullptr;
}

static LogicalResult setParams(kern::KernelOp op, const kern::KernelCall &call, DictionaryAttr choice,
                               KernelLaunch &launch) {
  size_t chosen = 0;
  for (const kernels::Param &param : launch.kernel->params) {
    const Attribute *given = find<Attribute>(call.params, param.name);
    Attribute value = given ? *given : choice ? choice.get(StringRef(param.name)) : Attribute();
    chosen += !given && value;
    auto type = dyn_cast_or_null<TypeAttr>(value);
    std::optional<kernels::DType> dtype = type ? dtypeOf(type.getValue()) : std::nullopt;
    auto integer = dyn_cast_or_null<IntegerAttr>(value);
    if (!value || (param.isType ? !dtype : !integer))
      return op->emitOpError() << launch.kernel->text() << " needs the parameter '" << param.name << "'"
                               << (param.isType && value ? ", a type that kernels know" : "");
    launch.params.set(param.name, param.isType ? static_cast<int64_t>(*dtype) : integer.getInt());
  }
  for (NamedAttribute part : choice ? choice.getValue() : ArrayRef<NamedAttribute>())
    if (part.getName() != "engine" && !launch.params.find(part.getName().strref()))
      return op->emitOpError() << launch.kernel->text() << " is not spread by " << part.getName();
  return success();
}

static LogicalResult setArguments(kern::KernelOp op, const kern::KernelCall &call, KernelLaunch &launch) {
  for (const kernels::Arg &arg : launch.kernel->args) {
    if (!isScalar(arg.access)) {
      const Value *buffer = find<Value>(call.buffers, arg.name);
      if (!buffer)
        return op->emitOpError() << "lacks the argument '" << arg.name << "' of " << launch.kernel->text();
      launch.buffers.push_back(*buffer);
      continue;
    }
    const TypedAttr *scalar = find<TypedAttr>(call.scalars, arg.name);
    if (!scalar)
      return op->emitOpError() << "lacks the scalar '" << arg.name << "' of " << launch.kernel->text();
    kernels::Scalar value = {};
    if (auto real = dyn_cast<FloatAttr>(*scalar))
      value.f = real.getValue().convertToFloat();
    else
      value.i = static_cast<int32_t>(cast<IntegerAttr>(*scalar).getInt());
    launch.scalars.push_back(value);
  }
  return success();
}

static FailureOr<KernelLaunch> resolveWith(kern::KernelOp op, StringRef engine, DictionaryAttr choice) {
  if (failed(verifyShapes(op)))
    return failure();
  const kern::KernelCall call = op.getKernelCall();
  KernelLaunch launch{kernels::catalogue().kernel(call.meaning, engine.str()), {}, {}, {}};
  if (!launch.kernel)
    return op->emitOpError() << "is served by no engine '" << engine << "' of kernels_templates/ (" << call.meaning
                             << ")";
  if (failed(setParams(op, call, choice, launch)) || failed(setArguments(op, call, launch)))
    return failure();
  if (std::string violated = launch.kernel->constraint(launch.params); !violated.empty())
    return op->emitOpError() << "does not fit " << launch.kernel->text() << ": " << violated;
  return launch;
}

FailureOr<KernelLaunch> nanocc::resolveMeaning(kern::KernelOp op) { return resolveWith(op, "", {}); }

FailureOr<KernelLaunch> nanocc::resolve(kern::KernelOp op) {
  DictionaryAttr choice = op.getEngineChoice();
  const StringRef engine = choice ? choice.getAs<StringAttr>("engine").getValue() : StringRef();
  if (op->getParentOfType<kern::ProgramOp>().getSymName() == "cpu" || engine == kern::libraryEngine)
    return resolveMeaning(op);
  if (choice)
    return resolveWith(op, engine, choice);
  const std::vector<const kernels::Kernel *> served = kernels::catalogue().kernels(op.getKernelCall().meaning);
  if (served.size() > 1)
    return op->emitOpError("has no engine yet: kern-choose-templates must run first");
  return served.empty() ? resolveMeaning(op) : resolveWith(op, served.front()->engine->name, {});
}

std::optional<codegen::Problem> nanocc::problemOf(kern::KernelOp op) {
  const kern::KernelCall call = op.getKernelCall();
  if (kernels::catalogue().kernels(call.meaning).size() < 2)
    return std::nullopt;
  codegen::Problem problem{call.meaning, {}};
  for (const auto &[name, value] : call.params) {
    auto type = dyn_cast<TypeAttr>(value);
    std::optional<kernels::DType> dtype = type ? dtypeOf(type.getValue()) : std::nullopt;
    if (type && !dtype)
      return std::nullopt; // kern-verify says what is wrong
    problem.values.set(name, dtype ? static_cast<int64_t>(*dtype) : cast<IntegerAttr>(value).getInt());
  }
  for (const auto &[name, value] : call.scalars)
    if (auto integer = dyn_cast<IntegerAttr>(value); integer && name != "layer") // layers have the same problems
      problem.values.set(name, integer.getInt());
  if (auto attention = dyn_cast<kern::AttentionOp>(op.getOperation()))
    problem.values.set("rows", cast<RankedTensorType>(attention.getStarts().getType()).getDimSize(0));
  return problem;
}

/// The plan.source of a file, made before the programs on first use.
static void declareSource(ModuleOp module, const std::string &path, Location loc) {
  if (module.lookupSymbol(path))
    return;
  auto program = module.getOps<plan::ProgramOp>().begin();
  OpBuilder builder(module.getBody(), Block::iterator(*program));
  plan::SourceOp::create(builder, loc, path, codegen::withoutIncludes(codegen::templateText(path)));
}

FlatSymbolRefAttr nanocc::declareKernel(plan::ProgramOp program, const KernelLaunch &launch, Location loc) {
  std::string name = launch.name();
  auto symbol = FlatSymbolRefAttr::get(program.getContext(), name);
  if (SymbolTable::lookupSymbolIn(program, symbol.getAttr()))
    return symbol;
  Block &body = program.getBody().front();
  auto entry = llvm::find_if(body, [](Operation &op) { return isa<plan::EntryOp>(op); });
  OpBuilder builder(&body, entry);
  SmallVector<NamedAttribute> params;
  for (const kernels::Param &param : launch.kernel->params) {
    const int64_t value = launch.params[param.name];
    Attribute attribute = builder.getI64IntegerAttr(value);
    if (param.isType)
      attribute = TypeAttr::get(typeOf(static_cast<kernels::DType>(value), builder.getContext()));
    params.push_back(builder.getNamedAttr(param.name, attribute));
  }
  StringAttr engine, source;
  ArrayAttr includes;
  if (const kernels::Engine *own = launch.kernel->engine) {
    const codegen::Source text = codegen::instantiate(*launch.kernel, launch.params);
    engine = builder.getStringAttr(StringRef(own->name));
    source = builder.getStringAttr(text.own);
    includes = builder.getStrArrayAttr(SmallVector<StringRef>(text.includes.begin(), text.includes.end()));
    for (const std::string &path : text.includes)
      declareSource(program->getParentOfType<ModuleOp>(), path, loc);
  }
  plan::KernelOp::create(builder, loc, name, launch.kernel->meaning.name, engine, builder.getDictionaryAttr(params),
                         includes, source, ElementsAttr());
  return symbol;
}

const kernels::Kernel *nanocc::kernelOf(plan::KernelOp op, kernels::Values &params) {
  const kernels::Kernel *kernel = kernels::catalogue().kernel(op.getMeaning().str(), op.getEngine().value_or("").str());
  for (const kernels::Param &param : kernel ? kernel->params : std::vector<kernels::Param>()) {
    Attribute value = op.getParams().get(StringRef(param.name));
    auto type = dyn_cast_or_null<TypeAttr>(value);
    std::optional<kernels::DType> dtype = type ? dtypeOf(type.getValue()) : std::nullopt;
    auto integer = dyn_cast_or_null<IntegerAttr>(value);
    if (param.isType ? !dtype : !integer)
      return nullptr;
    params.set(param.name, param.isType ? static_cast<int64_t>(*dtype) : integer.getInt());
  }
  return kernel && op.getParams().size() == kernel->params.size() ? kernel : nullptr;
}
