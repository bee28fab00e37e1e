// Verifiers of the `nano` operations. Each message names the operation and the constraint that does not hold.
#include "dialects/nano/Nano.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace nanocc::nano;

ParamDeclOp nanocc::nano::lookupParam(Operation *from, FlatSymbolRefAttr symbol) {
  return SymbolTable::lookupNearestSymbolFrom<ParamDeclOp>(from->getParentOfType<ModuleOp>(), symbol);
}

CacheOp nanocc::nano::lookupCache(Operation *from, FlatSymbolRefAttr symbol) {
  return SymbolTable::lookupNearestSymbolFrom<CacheOp>(from->getParentOfType<ModuleOp>(), symbol);
}

/// Of heads and head size: their product stays far from overflow.
static constexpr uint64_t largestExtent = 1 << 16;

/// Channels of an activation: its last dimension.
static int64_t channels(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() ? type.getShape().back() : 0;
}

static FailureOr<RankedTensorType> paramType(Operation *op, FlatSymbolRefAttr symbol, unsigned rank, StringRef role) {
  ParamDeclOp param = lookupParam(op, symbol);
  if (!param)
    return op->emitOpError() << role << " @" << symbol.getValue() << " is not a nano.param of this module";
  auto type = cast<RankedTensorType>(param.getType());
  if (type.getRank() != rank)
    return op->emitOpError() << role << " @" << symbol.getValue() << " must have rank " << rank << ", has " << type;
  return type;
}

/// Checks one dimension of a parameter against what the operation needs.
static LogicalResult expectDim(Operation *op, FlatSymbolRefAttr symbol, StringRef role, RankedTensorType type,
                               unsigned dim, int64_t expected) {
  if (type.getDimSize(dim) == expected)
    return success();
  return op->emitOpError() << role << " @" << symbol.getValue() << " has " << type.getDimSize(dim)
                           << (dim == 0 ? " rows" : " columns") << ", needs " << expected;
}

static LogicalResult sameTokens(Operation *op, Value a, Value b) {
  auto drop = [](Value value) { return cast<ShapedType>(value.getType()).getShape().drop_back(); };
  if (cast<ShapedType>(a.getType()).getRank() && cast<ShapedType>(b.getType()).getRank() && drop(a) == drop(b))
    return success();
  return op->emitOpError() << "operand and result must have the same token dimensions, have " << a.getType() << " and "
                           << b.getType();
}

static LogicalResult tokensMatch(Operation *op, Value tokens, Value activation) {
  auto shape = cast<ShapedType>(activation.getType()).getShape();
  if (!shape.empty() && cast<ShapedType>(tokens.getType()).getShape() == shape.drop_back())
    return success();
  return op->emitOpError() << "one token per slot expected, have " << tokens.getType() << " for "
                           << activation.getType();
}

LogicalResult ParamDeclOp::verify() {
  Type element = cast<ShapedType>(getType()).getElementType();
  if (!element.isF32() && !element.isBF16())
    return emitOpError() << "must be f32 or bf16, is " << element;
  auto shape = cast<ShapedType>(getType()).getShape();
  if (shape.empty() || llvm::any_of(shape, [](int64_t extent) { return extent < 1 || extent > INT32_MAX; }))
    return emitOpError() << "must have positive 32-bit extents, has " << getType();
  return success();
}

LogicalResult CacheOp::verify() {
  if (getHeads() - 1 >= largestExtent || getDim() - 1 >= largestExtent)
    return emitOpError() << "heads and dim must be from 1 to " << largestExtent;
  if (getWindow() && static_cast<int64_t>(*getWindow()) <= 0)
    return emitOpError("window must be positive; leave it out for full attention");
  return success();
}

LogicalResult EmbedOp::verifySymbolUses(SymbolTableCollection &) {
  auto table = paramType(*this, getTableAttr(), 2, "table");
  if (failed(table) || failed(tokensMatch(*this, getTokens(), getResult())))
    return failure();
  return expectDim(*this, getTableAttr(), "table", *table, 1, channels(getResult()));
}

LogicalResult RmsNormOp::verify() {
  int64_t groups = getGroups();
  if (groups <= 0 || channels(getX()) % groups)
    return emitOpError() << "groups " << groups << " must divide the " << channels(getX()) << " channels";
  return success();
}

LogicalResult SmearOp::verifySymbolUses(SymbolTableCollection &) {
  auto gate = paramType(*this, getGateAttr(), 2, "gate");
  auto lambda = paramType(*this, getLambdaAttr(), 1, "lambda");
  if (failed(gate) || failed(lambda) || failed(expectDim(*this, getGateAttr(), "gate", *gate, 0, 1)) ||
      failed(expectDim(*this, getLambdaAttr(), "lambda", *lambda, 0, 1)))
    return failure();
  if (gate->getDimSize(1) > channels(getU()))
    return emitOpError() << "gate reads " << gate->getDimSize(1) << " channels of " << channels(getU());
  return success();
}

LogicalResult LinearOp::verifySymbolUses(SymbolTableCollection &) {
  auto weight = paramType(*this, getWeightAttr(), 2, "weight");
  if (failed(weight) || failed(sameTokens(*this, getX(), getResult())) ||
      failed(expectDim(*this, getWeightAttr(), "weight", *weight, 1, channels(getX()))))
    return failure();
  return expectDim(*this, getWeightAttr(), "weight", *weight, 0, channels(getResult()));
}

LogicalResult RopeOp::verify() {
  int64_t heads = getHeads();
  if (heads <= 0 || channels(getX()) % heads)
    return emitOpError() << "heads " << heads << " must divide the " << channels(getX()) << " channels";
  if (channels(getX()) / heads % 2)
    return emitOpError() << "turns pairs of channels: the head size " << channels(getX()) / heads << " must be even";
  if (!(getBase().convertToDouble() > 1))
    return emitOpError("base must be greater than 1");
  return success();
}

LogicalResult ValueGateOp::verifySymbolUses(SymbolTableCollection &) {
  auto table = paramType(*this, getTableAttr(), 2, "table");
  auto gate = paramType(*this, getGateAttr(), 2, "gate");
  if (failed(table) || failed(gate) || failed(tokensMatch(*this, getTokens(), getV())) ||
      failed(sameTokens(*this, getH(), getV())) ||
      failed(expectDim(*this, getTableAttr(), "table", *table, 1, channels(getV()))))
    return failure();
  if (channels(getV()) % gate->getDimSize(0))
    return emitOpError() << "the gate's " << gate->getDimSize(0) << " heads must divide the " << channels(getV())
                         << " channels of v";
  if (gate->getDimSize(1) > channels(getH()))
    return emitOpError() << "gate reads " << gate->getDimSize(1) << " channels of " << channels(getH());
  return success();
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &) {
  CacheOp cache = lookupCache(*this, getCacheAttr());
  if (!cache)
    return emitOpError() << "cache @" << getCache() << " is not a nano.cache of this module";
  int64_t kv = cache.getHeads() * cache.getDim();
  if (channels(getK()) != kv || channels(getV()) != kv)
    return emitOpError() << "k and v must have " << kv << " channels (" << cache.getHeads() << " heads of "
                         << cache.getDim() << " in @" << getCache() << "), have " << channels(getK()) << " and "
                         << channels(getV());
  if (channels(getQ()) % kv)
    return emitOpError() << "the " << channels(getQ()) << " channels of q must be a multiple of the " << kv
                         << " of k: each key/value head serves a whole group of query heads";
  if (failed(sameTokens(*this, getQ(), getK())) || failed(sameTokens(*this, getQ(), getV())))
    return failure();
  return success();
}

LogicalResult MixOp::verifySymbolUses(SymbolTableCollection &) {
  for (auto [symbol, role] : {std::pair(getResidAttr(), "resid"), std::pair(getSkipAttr(), "skip")}) {
    auto type = paramType(*this, symbol, 1, role);
    if (failed(type))
      return failure();
    if (getLayer() >= static_cast<uint64_t>(type->getDimSize(0)))
      return emitOpError() << "layer " << static_cast<int64_t>(getLayer()) << " is outside " << role << " @"
                           << symbol.getValue() << " of " << type->getDimSize(0);
  }
  return success();
}

LogicalResult BackoutOp::verifySymbolUses(SymbolTableCollection &) {
  auto lambda = paramType(*this, getLambdaAttr(), 1, "lambda");
  if (failed(lambda))
    return failure();
  return expectDim(*this, getLambdaAttr(), "lambda", *lambda, 0, 1);
}

LogicalResult SoftcapOp::verify() {
  if (failed(sameTokens(*this, getZ(), getResult())))
    return failure();
  if (channels(getResult()) > channels(getZ()))
    return emitOpError() << "keeps the first " << channels(getResult()) << " columns of only " << channels(getZ());
  if (getCap() && !(getCap()->convertToFloat() > 0))
    return emitOpError("cap must be positive; leave it out for none");
  return success();
}

LogicalResult LastOp::verify() {
  auto x = cast<ShapedType>(getX().getType()), y = cast<ShapedType>(getResult().getType());
  auto index = cast<ShapedType>(getIndex().getType());
  if (x.getRank() != 2 || y.getRank() != 2 || index.getRank() != 1 || y.getDimSize(1) != x.getDimSize(1) ||
      y.getDimSize(0) != index.getDimSize(0))
    return emitOpError() << "selects rows: (slots, c), (rows) -> (rows, c) expected";
  return success();
}

#define GET_OP_CLASSES
#include "dialects/nano/NanoOps.cpp.inc"
