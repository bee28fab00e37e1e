// What each launch means, and verifiers.
#include "dialects/kern/Kern.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace nanocc::kern;

#include "dialects/kern/KernInterfaces.cpp.inc"

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }
/// Extents of a scalar are 0: verifiers run on any rank.
static int64_t channels(Value value) { return tensorType(value).getRank() ? tensorType(value).getShape().back() : 0; }
static int64_t slots(Value value) { return tensorType(value).getRank() ? tensorType(value).getDimSize(0) : 0; }

/// `@a, @b`
static ParseResult parseSymbols(OpAsmParser &parser, ArrayAttr &symbols) {
  SmallVector<Attribute> list;
  if (parser.parseCommaSeparatedList([&] {
        FlatSymbolRefAttr symbol;
        if (parser.parseAttribute(symbol))
          return failure();
        list.push_back(symbol);
        return success();
      }))
    return failure();
  symbols = parser.getBuilder().getArrayAttr(list);
  return success();
}
static void printSymbols(OpAsmPrinter &printer, Operation *, ArrayAttr symbols) {
  llvm::interleaveComma(symbols, printer);
}

namespace {
/// Builds a KernelCall in reading order.
struct Call {
  Call(Operation *op, Twine meaning) : builder(op->getContext()) { call.meaning = meaning.str(); }
  /// One that is not there is left out.
  Call &buffer(StringRef name, Value value) {
    if (value)
      call.buffers.emplace_back(name, value);
    return *this;
  }
  Call &type(StringRef name, Value of) {
    call.params.emplace_back(name, TypeAttr::get(getElementTypeOrSelf(of.getType())));
    return *this;
  }
  Call &dim(StringRef name, int64_t value) {
    call.params.emplace_back(name, builder.getI64IntegerAttr(value));
    return *this;
  }
  Call &scalar(StringRef name, int64_t value) {
    call.scalars.emplace_back(name, builder.getI32IntegerAttr(value));
    return *this;
  }
  Call &scalar(StringRef name, const APFloat &value) {
    call.scalars.emplace_back(name, builder.getF32FloatAttr(value.convertToFloat()));
    return *this;
  }
  operator KernelCall() const { return call; }

  Builder builder;
  KernelCall call;
};
} // namespace

LogicalResult RefOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto program = (*this)->getParentOfType<ProgramOp>();
  Operation *declaration = program ? symbols.lookupNearestSymbolFrom(program, getSymbolAttr()) : nullptr;
  TypeAttr type = declaration ? declaration->getAttrOfType<TypeAttr>("type") : TypeAttr();
  if (!type)
    return emitOpError() << "@" << getSymbol() << " is not a weight, table, cache or counters of this program";
  auto weight = dyn_cast<WeightOp>(declaration);
  const auto parts = weight ? weight.getPartTypes() : SmallVector<RankedTensorType>();
  if (getPart() >= std::max<size_t>(parts.size(), 1))
    return emitOpError() << "@" << getSymbol() << " has no part " << getPart();
  const Type expected = getPart() ? Type(parts[getPart()]) : type.getValue();
  if (expected != getResult().getType())
    return emitOpError() << "@" << getSymbol() << " has type " << expected;
  return success();
}

SmallVector<RankedTensorType> WeightOp::getPartTypes() {
  auto values = cast<RankedTensorType>(getType());
  SmallVector<RankedTensorType> types = {values};
  if (isa<Float8E4M3FNType>(values.getElementType()))
    types.push_back(RankedTensorType::get({values.getDimSize(0), 1}, Float32Type::get(getContext())));
  return types;
}

SmallVector<Value> WeightOp::refer(OpBuilder &builder, Location loc) {
  SmallVector<Value> handles;
  for (auto [part, type] : llvm::enumerate(getPartTypes()))
    handles.push_back(RefOp::create(builder, loc, type, getSymName(), part));
  return handles;
}

/// Operands that belong together: all or none. Returns the name of one that makes it neither.
static StringRef incomplete(ArrayRef<std::pair<StringRef, bool>> group) {
  for (auto [name, given] : group)
    if (given != group.front().second)
      return name;
  return {};
}

LogicalResult EmbedOp::verify() {
  if (StringRef name = incomplete({{"prev", !!getPrev()}, {"gate", !!getGate()}, {"lambda", !!getLambda()}});
      !name.empty())
    return emitOpError() << "smears by prev, gate and lambda together; " << name << " says otherwise";
  if (StringRef name = incomplete(
          {{"resid", !!getResid()}, {"skip", !!getSkip()}, {"layer", !!getLayer()}, {"its first result", !!getX0()}});
      !name.empty())
    return emitOpError() << "mixes by resid, skip and layer into two results; " << name << " says otherwise";
  if ((getPrev() || getResid()) && !getNorm())
    return emitOpError("smears and mixes normed rows alone: it lacks 'norm'");
  return success();
}

KernelCall EmbedOp::getKernelCall() {
  const bool smears = !!getPrev(), mixes = !!getResid();
  Call call(*this, Twine("embed") + (smears ? "_smear" : getNorm() ? "_norm" : "") + (mixes ? "_mix" : ""));
  call.buffer("tokens", getTokens())
      .buffer("prev", getPrev())
      .buffer("table", getTable())
      .buffer("gate", getGate())
      .buffer("lambda", getLambda())
      .buffer("resid", getResid())
      .buffer("skip", getSkip())
      .buffer("x0", getX0())
      .buffer("y", getResult())
      .type("T", getResult())
      .dim("C", channels(getResult()));
  if (smears)
    call.dim("channels", tensorType(getGate()).getNumElements());
  if (mixes)
    call.scalar("layer", *getLayer());
  return call.scalar("n", slots(getResult()));
}

LogicalResult RmsNormOp::verify() {
  int64_t width = getWidth();
  if (width <= 0 || channels(getX()) % width)
    return emitOpError() << "width " << width << " must divide the " << channels(getX()) << " channels";
  return success();
}

KernelCall RmsNormOp::getKernelCall() {
  int64_t width = getWidth();
  return Call(*this, "rms_norm")
      .buffer("x", getX())
      .buffer("y", getResult())
      .type("T", getResult())
      .dim("width", width)
      .scalar("n", tensorType(getResult()).getNumElements() / width);
}

KernelCall SmearOp::getKernelCall() {
  return Call(*this, "smear")
      .buffer("u", getU())
      .buffer("prev", getPrev())
      .buffer("gate", getGate())
      .buffer("lambda", getLambda())
      .buffer("y", getResult())
      .type("T", getU())
      .dim("C", channels(getU()))
      .dim("channels", tensorType(getGate()).getNumElements())
      .scalar("n", slots(getU()));
}

/// `4` or `4 : i64`
static bool isSpread(Attribute value) {
  auto integer = dyn_cast<IntegerAttr>(value);
  return integer && integer.getType().isSignlessInteger(64);
}

/// Which parameters an engine has is known where kernels are.
static LogicalResult verifyChoice(Operation *op, DictionaryAttr choice) {
  if (!choice)
    return success();
  auto engine = choice.getAs<StringAttr>("engine");
  if (!engine)
    return op->emitOpError("has a choice without an engine");
  const bool library = engine.getValue() == libraryEngine;
  for (NamedAttribute part : choice.getValue()) {
    if (part.getName() == "engine" || (library && part.getName() == "version" && isa<StringAttr>(part.getValue())))
      continue;
    if (!isSpread(part.getValue()))
      return op->emitOpError() << "has a choice of " << part.getName() << " = " << part.getValue()
                               << "; engines spread the work by integers";
  }
  auto algorithm = choice.getAs<IntegerAttr>("algorithm");
  if (library && (choice.contains("version") != choice.contains("algorithm") || (algorithm && algorithm.getInt() < 0)))
    return op->emitOpError("an algorithm is one of a library's of a version, counted from 0");
  return success();
}

bool ProductOp::usesLibrary() {
  DictionaryAttr choice = getChoiceAttr();
  return choice && choice.getAs<StringAttr>("engine").getValue() == libraryEngine;
}

LogicalResult ProductOp::verify() {
  if (failed(verifyChoice(*this, getChoiceAttr())))
    return failure();
  auto x = tensorType(getX()), w = tensorType(getWeight()), y = tensorType(getResult());
  if (x.getRank() != 2 || w.getRank() != 2 || y.getRank() != 2 || x.getDimSize(1) != w.getDimSize(1) ||
      y.getDimSize(1) != w.getDimSize(0) || x.getDimSize(0) != y.getDimSize(0))
    return emitOpError() << "(n, k) x (m, k)ᵀ -> (n, m) expected, have " << x << ", " << w << " -> " << y;
  if (!getScales() && x.getElementType() != w.getElementType())
    return emitOpError() << "x and a weight without scales must have the same element type";
  if (getScales() && (!isa<Float8E4M3FNType>(w.getElementType()) ||
                      tensorType(getScales()).getShape() != ArrayRef<int64_t>{w.getDimSize(0), 1}))
    return emitOpError() << "scales are of a weight of f8E4M3FN, one a row; have " << getScales().getType() << " and "
                         << w;
  if (StringRef name =
          incomplete({{"x0", !!getX0()}, {"resid", !!getResid()}, {"skip", !!getSkip()}, {"layer", !!getLayer()}});
      !name.empty())
    return emitOpError() << "mixes by x0, resid, skip and layer together; " << name << " says otherwise";
  if (!getMid() != !getLambda())
    return emitOpError("takes out mid by lambda: both or none");
  if (!!getX0() + !!getMid() + getRelu2() > 1 || ((getX0() || getMid()) && !getR()) || (getRelu2() && getR()))
    return emitOpError("has an epilogue that no kernel has: relu2 stands alone, mix and without come after plus");
  if (getSum() && !getX0())
    return emitOpError("gives its sum besides a mix alone");
  for (Value same : {getR(), getX0(), getMid(), getSum()})
    if (same && same.getType() != getResult().getType())
      return emitOpError() << "reads and writes tensors of the type of its result, " << y << ", not " << same.getType();
  if (usesLibrary() && (!isPlain() || getNorm()))
    return emitOpError("is no plain product: a library serves only those");
  return success();
}

KernelCall ProductOp::getKernelCall() {
  const StringRef epilogue = getRelu2() ? "_relu2"
                             : getSum() ? "_mix_sum"
                             : getX0()  ? "_mix"
                             : getMid() ? "_backout"
                             : getR()   ? "_add"
                                        : "";
  Call call(*this, Twine("product") + (getScales() ? "_scaled" : "") + epilogue);
  call.buffer("x", getX())
      .buffer("w", getWeight())
      .buffer("scales", getScales())
      .buffer("r", getR())
      .buffer("x0", getX0())
      .buffer("resid", getResid())
      .buffer("skip", getSkip())
      .buffer("mid", getMid())
      .buffer("lambda", getLambda())
      .buffer("sum", getSum())
      .buffer("y", getResult())
      .type("T", getX())
      .type("O", getResult())
      .dim("K", channels(getX()))
      .dim("N", channels(getResult()))
      .dim("norm", getNorm());
  if (getScales())
    call.type("W", getWeight());
  if (getX0())
    call.scalar("layer", *getLayer());
  return call.scalar("n", slots(getX()));
}

KernelCall RopeOp::getKernelCall() {
  int64_t dim = channels(getTable());
  return Call(*this, "rope")
      .buffer("x", getX())
      .buffer("table", getTable())
      .buffer("positions", getPositions())
      .buffer("y", getResult())
      .type("T", getX())
      .type("P", getTable())
      .dim("heads", channels(getX()) / dim)
      .dim("D", dim)
      .scalar("n", slots(getX()));
}

KernelCall ScaleOp::getKernelCall() {
  return Call(*this, "scale")
      .buffer("x", getX())
      .buffer("y", getResult())
      .type("T", getX())
      .scalar("factor", getFactor())
      .scalar("count", tensorType(getX()).getNumElements());
}

KernelCall ValueGateOp::getKernelCall() {
  int64_t heads = slots(getGate());
  return Call(*this, "value_gate")
      .buffer("v", getV())
      .buffer("h", getH())
      .buffer("tokens", getTokens())
      .buffer("table", getTable())
      .buffer("gate", getGate())
      .buffer("y", getResult())
      .type("T", getV())
      .dim("heads", heads)
      .dim("D", channels(getV()) / heads)
      .dim("C", channels(getH()))
      .dim("channels", channels(getGate()))
      .scalar("range", getRange())
      .scalar("n", slots(getV()));
}

static APFloat attentionScale(KvType kv) {
  return APFloat(static_cast<float>(1.0 / std::sqrt(static_cast<double>(kv.getDim()))));
}

KernelCall AttentionOp::getKernelCall() {
  auto kv = cast<KvType>(getKv().getType());
  return Call(*this, "attention_chunk")
      .buffer("q", getQ())
      .buffer("k", getK())
      .buffer("v", getV())
      .buffer("kv", getKv())
      .buffer("rows", getRows())
      .buffer("positions", getPositions())
      .buffer("starts", getStarts())
      .buffer("counters", getCounters())
      .buffer("y", getResult())
      .type("T", getQ())
      .dim("heads", channels(getQ()) / kv.getDim())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions())
      .scalar("window", getWindow())
      .scalar("scale", attentionScale(kv))
      .scalar("n", slots(getQ()));
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyChoice(*this, getChoiceAttr())))
    return failure();
  auto kv = cast<KvType>(getKv().getType());
  if (channels(getK()) != kv.getHeads() * kv.getDim() || channels(getV()) != channels(getK()))
    return emitOpError() << "k and v must have " << kv.getHeads() << " heads of " << kv.getDim() << " like the ring";
  if (channels(getQ()) % channels(getK()))
    return emitOpError() << "the query heads must be a multiple of the ring's " << kv.getHeads();
  if (slots(getStarts()) > kv.getRows())
    return emitOpError() << "serves " << slots(getStarts()) << " rows, the ring holds " << kv.getRows();
  return success();
}

KernelCall KvWriteOp::getKernelCall() {
  auto kv = cast<KvType>(getKv().getType());
  return Call(*this, "kv_write")
      .buffer("k", getK())
      .buffer("v", getV())
      .buffer("rows", getRows())
      .buffer("positions", getPositions())
      .buffer("ends", getEnds())
      .buffer("kv", getKv())
      .type("T", getK())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions())
      .scalar("n", slots(getK()));
}

/// The value gate, of operations that have it or not.
template <typename Op> static LogicalResult verifyGate(Op op) {
  StringRef name = incomplete({{"x", !!op.getX()},
                               {"tokens", !!op.getTokens()},
                               {"embeds", !!op.getEmbeds()},
                               {"gate", !!op.getGate()},
                               {"range", !!op.getRange()}});
  if (!name.empty())
    return op.emitOpError() << "gates values by x, tokens, embeds, gate and range together; " << name
                            << " says otherwise";
  return success();
}
template <typename Op> static Call &withGate(Call &call, Op op) {
  call.buffer("x", op.getX())
      .buffer("tokens", op.getTokens())
      .buffer("embeds", op.getEmbeds())
      .buffer("gate", op.getGate());
  if (op.getGate())
    call.dim("C", channels(op.getX())).dim("channels", channels(op.getGate())).scalar("range", *op.getRange());
  return call;
}

LogicalResult PrepareQkvOp::verify() {
  int64_t dim = channels(getTable()), q = channels(getQ()), k = channels(getK());
  if (dim == 0 || q % dim || k % dim || getK().getType() != getV().getType() || channels(getQkv()) != q + 2 * k)
    return emitOpError() << "expects q, k and v of heads of " << dim << " side by side, makes " << getQ().getType()
                         << ", " << getK().getType() << " and " << getV().getType() << " of " << getQkv().getType();
  return verifyGate(*this);
}

KernelCall PrepareQkvOp::getKernelCall() {
  int64_t dim = channels(getTable());
  Call call(*this, Twine("prepare_qkv") + (getGate() ? "_gate" : ""));
  call.buffer("qkv", getQkv())
      .buffer("table", getTable())
      .buffer("positions", getPositions())
      .buffer("q", getQ())
      .buffer("k", getK())
      .buffer("v", getV())
      .type("T", getQkv())
      .type("P", getTable())
      .dim("heads", channels(getQ()) / dim)
      .dim("kv_heads", channels(getK()) / dim)
      .dim("D", dim)
      .scalar("mult", getMult())
      .scalar("n", slots(getQkv()));
  return withGate(call, *this);
}

LogicalResult AttentionStepOp::verify() {
  if (failed(verifyChoice(*this, getChoiceAttr())) || failed(verifyGate(*this)))
    return failure();
  auto kv = cast<KvType>(getKv().getType());
  int64_t width = channels(getResult()), keys = kv.getHeads() * kv.getDim();
  if (width == 0 || width % keys || channels(getQkv()) != width + 2 * keys || channels(getTable()) != kv.getDim())
    return emitOpError() << "expects q of the result's " << width << " channels and k and v of " << kv.getHeads()
                         << " heads of " << kv.getDim() << " side by side, has " << getQkv().getType();
  if (static_cast<int64_t>(getWindow()) < 0)
    return emitOpError("window must be 0 or more");
  if (slots(getQkv()) > kv.getRows())
    return emitOpError() << "serves " << slots(getQkv()) << " rows, the ring holds " << kv.getRows();
  return success();
}

KernelCall AttentionStepOp::getKernelCall() {
  auto kv = cast<KvType>(getKv().getType());
  Call call(*this, Twine("attention_step") + (getGate() ? "_gate" : ""));
  call.buffer("qkv", getQkv())
      .buffer("table", getTable())
      .buffer("rows", getRows())
      .buffer("positions", getPositions())
      .buffer("kv", getKv())
      .buffer("counters", getCounters())
      .buffer("partials", getPartials())
      .buffer("y", getResult())
      .type("T", getQkv())
      .type("P", getTable())
      .dim("heads", channels(getResult()) / kv.getDim())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions())
      .scalar("mult", getMult())
      .scalar("window", getWindow())
      .scalar("scale", attentionScale(kv))
      .scalar("n", slots(getQkv()));
  return withGate(call, *this);
}

KernelCall AddOp::getKernelCall() {
  return Call(*this, "add")
      .buffer("a", getA())
      .buffer("b", getB())
      .buffer("y", getResult())
      .type("T", getA())
      .scalar("count", tensorType(getA()).getNumElements());
}

KernelCall Relu2Op::getKernelCall() {
  return Call(*this, "relu2")
      .buffer("x", getX())
      .buffer("y", getResult())
      .type("T", getX())
      .scalar("count", tensorType(getX()).getNumElements());
}

KernelCall MixOp::getKernelCall() {
  return Call(*this, "mix")
      .buffer("x", getX())
      .buffer("x0", getX0())
      .buffer("resid", getResid())
      .buffer("skip", getSkip())
      .buffer("y", getResult())
      .type("T", getX())
      .scalar("layer", getLayer())
      .scalar("count", tensorType(getX()).getNumElements());
}

KernelCall BackoutOp::getKernelCall() {
  return Call(*this, "backout")
      .buffer("x", getX())
      .buffer("mid", getMid())
      .buffer("lambda", getLambda())
      .buffer("y", getResult())
      .type("T", getX())
      .scalar("count", tensorType(getX()).getNumElements());
}

KernelCall LastOp::getKernelCall() {
  return Call(*this, "last")
      .buffer("x", getX())
      .buffer("index", getIndex())
      .buffer("y", getResult())
      .type("T", getX())
      .dim("C", channels(getX()))
      .scalar("r", slots(getResult()));
}

KernelCall SoftcapOp::getKernelCall() {
  return Call(*this, "softcap")
      .buffer("z", getZ())
      .buffer("y", getResult())
      .dim("V", channels(getResult()))
      .dim("Vp", channels(getZ()))
      .scalar("cap", getCap())
      .scalar("n", slots(getZ()));
}

KernelCall SampleOp::getKernelCall() {
  return Call(*this, "sample")
      .buffer("z", getZ())
      .buffer("index", getIndex())
      .buffer("steps", getSteps())
      .buffer("sampling", getSampling())
      .buffer("counters", getCounters())
      .buffer("partials", getPartials())
      .buffer("next", getResult())
      .dim("V", getVocab())
      .dim("Vp", channels(getZ()))
      .scalar("cap", getCap())
      .scalar("r", slots(getZ()));
}

KernelCall NllOp::getKernelCall() {
  return Call(*this, "nll")
      .buffer("logits", getLogits())
      .buffer("targets", getTargets())
      .buffer("y", getResult())
      .dim("V", channels(getLogits()))
      .scalar("n", slots(getLogits()));
}

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.cpp.inc"
