#include "compiler/analysis/Family.h"

#include "codegen/Instantiate.h"
#include "codegen/Registry.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nanocc;

std::string FamilyCall::name() const { return codegen::kernelName(*family, params); }

std::optional<kernels::DType> nanocc::dtypeOf(Type element) {
  if (element.isF32())
    return kernels::DType::F32;
  if (element.isBF16())
    return kernels::DType::BF16;
  if (element.isSignlessInteger(32))
    return kernels::DType::I32;
  if (element.isUnsignedInteger(32))
    return kernels::DType::U32;
  if (isa<Float8E4M3FNType>(element))
    return kernels::DType::F8E4M3;
  return std::nullopt;
}

Type nanocc::typeOf(kernels::DType dtype, MLIRContext *context) {
  switch (dtype) {
  case kernels::DType::F32:
    return Float32Type::get(context);
  case kernels::DType::BF16:
    return BFloat16Type::get(context);
  case kernels::DType::I32:
    return IntegerType::get(context, 32);
  case kernels::DType::U32:
    return IntegerType::get(context, 32, IntegerType::Unsigned);
  case kernels::DType::F8E4M3:
    return Float8E4M3FNType::get(context);
  }
  llvm_unreachable("all dtypes are listed");
}

/// What a family's parameters and 32-bit scalars can be made of: static tensors of rank 1 and more, and no activation
/// of 2³¹ elements.
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

FailureOr<FamilyCall> nanocc::resolve(kern::KernelOp op) {
  if (failed(verifyShapes(op)))
    return failure();
  kern::KernelCall call = op.getKernelCall();
  FamilyCall result{codegen::findFamily(call.family.str()), {}, {}};
  if (!result.family)
    return op->emitOpError() << "no kernel family '" << call.family << "' under kernels_templates/";
  if (call.params.size() != result.family->params.size())
    return op->emitOpError() << "family '" << call.family << "' has " << result.family->params.size()
                             << " template parameters, the launch gives " << call.params.size();
  for (auto [param, decl] : llvm::zip(call.params, result.family->params)) {
    if (param.getName().strref() != StringRef(decl.name.data(), decl.name.size()))
      return op->emitOpError() << "family '" << call.family << "' expects parameter '"
                               << StringRef(decl.name.data(), decl.name.size()) << "', the launch gives "
                               << param.getName();
    int64_t value = 0;
    if (decl.isType) {
      auto type = dyn_cast<TypeAttr>(param.getValue());
      std::optional<kernels::DType> dtype = type ? dtypeOf(type.getValue()) : std::nullopt;
      if (!dtype)
        return op->emitOpError() << "parameter " << param.getName() << " must be a type that kernels know, is "
                                 << param.getValue();
      value = static_cast<int64_t>(*dtype);
    } else {
      value = cast<IntegerAttr>(param.getValue()).getInt();
    }
    result.params.values.emplace_back(decl.name, value);
  }
  for (TypedAttr scalar : call.scalars) {
    kernels::Scalar value;
    if (auto real = dyn_cast<FloatAttr>(scalar)) {
      value.f = real.getValue().convertToFloat();
    } else {
      int64_t integer = cast<IntegerAttr>(scalar).getInt();
      value.i = static_cast<int32_t>(integer);
    }
    result.scalars.push_back(value);
  }
  if (std::string violated = result.family->constraint(result.params); !violated.empty())
    return op->emitOpError() << "does not fit kernel family '" << call.family << "': " << violated;
  return result;
}

FlatSymbolRefAttr nanocc::declareKernel(plan::ProgramOp program, const FamilyCall &call, Location loc) {
  std::string name = call.name();
  auto symbol = FlatSymbolRefAttr::get(program.getContext(), name);
  if (SymbolTable::lookupSymbolIn(program, symbol.getAttr()))
    return symbol;
  Block &body = program.getBody().front();
  auto entry = llvm::find_if(body, [](Operation &op) { return isa<plan::EntryOp>(op); });
  OpBuilder builder(&body, entry);
  SmallVector<NamedAttribute> params;
  for (auto [value, decl] : llvm::zip(call.params.values, call.family->params)) {
    Attribute attribute = builder.getI64IntegerAttr(value.second);
    if (decl.isType)
      attribute = TypeAttr::get(typeOf(static_cast<kernels::DType>(value.second), builder.getContext()));
    params.push_back(builder.getNamedAttr(value.first, attribute));
  }
  StringAttr source;
  if (program.getSymName() != "cpu")
    source = builder.getStringAttr(codegen::instantiate(*call.family, call.params));
  plan::KernelOp::create(builder, loc, name, StringRef(call.family->name.data(), call.family->name.size()),
                         builder.getDictionaryAttr(params), source, ElementsAttr());
  return symbol;
}
