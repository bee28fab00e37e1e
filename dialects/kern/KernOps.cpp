// What each launch means to its kernel family, and verifiers.
#include "dialects/kern/Kern.h"
#include "kernels_templates/common/tile.h"

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/StringExtras.h"

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

/// What families have by which a choice spreads the work, in their order.
static constexpr StringRef spreadingParams[] = {"tile_m", "tile_n", "tile_q", "tile_k",
                                                "stages", "split",  "share",  "blocks"};

namespace {
/// Builds a KernelCall in reading order.
struct Call {
  Call(Operation *op, StringRef family) : builder(op->getContext()) { call.family = family; }
  Call &type(StringRef name, Value of) { return type(name, getElementTypeOrSelf(of.getType())); }
  Call &type(StringRef name, Type type) {
    call.params.push_back(builder.getNamedAttr(name, TypeAttr::get(type)));
    return *this;
  }
  Call &dim(StringRef name, int64_t value) {
    call.params.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
    return *this;
  }
  Call &spread(DictionaryAttr choice) {
    for (StringRef name : spreadingParams)
      if (auto value = choice.getAs<IntegerAttr>(name))
        dim(name, value.getInt());
    return *this;
  }
  Call &scalar(int64_t value) {
    call.scalars.push_back(builder.getI32IntegerAttr(value));
    return *this;
  }
  Call &scalar(const APFloat &value) {
    call.scalars.push_back(builder.getF32FloatAttr(value.convertToFloat()));
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
  if (type.getValue() != getResult().getType())
    return emitOpError() << "@" << getSymbol() << " has type " << type.getValue();
  return success();
}

KernelCall EmbedOp::getKernelCall() {
  return Call(*this, "embed").type("T", getResult()).dim("C", channels(getResult())).scalar(slots(getResult()));
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
      .type("T", getResult())
      .dim("width", width)
      .scalar(tensorType(getResult()).getNumElements() / width);
}

KernelCall SmearOp::getKernelCall() {
  return Call(*this, "smear")
      .type("T", getU())
      .dim("C", channels(getU()))
      .dim("channels", tensorType(getGate()).getNumElements())
      .scalar(slots(getU()));
}

KernelCall LinearOp::getKernelCall() {
  return Call(*this, "linear")
      .type("T", getX())
      .type("O", getResult())
      .dim("K", channels(getX()))
      .dim("N", channels(getResult()))
      .scalar(slots(getX()));
}

/// `4` or `4 : i64`
static bool isTuning(Attribute value) {
  auto integer = dyn_cast<IntegerAttr>(value);
  return integer && integer.getType().isSignlessInteger(64);
}

static LogicalResult verifyChoice(Operation *op, DictionaryAttr choice) {
  if (choice && !choice.getAs<StringAttr>("family"))
    return op->emitOpError("has a choice without a family");
  for (NamedAttribute part : choice ? choice.getValue() : ArrayRef<NamedAttribute>())
    if (part.getName() != "family" &&
        (!llvm::is_contained(spreadingParams, part.getName().strref()) || !isTuning(part.getValue())))
      return op->emitOpError() << "has a choice of " << part.getName() << " = " << part.getValue()
                               << "; launches are spread by the integers "
                               << llvm::join(ArrayRef(spreadingParams), ", ");
  return success();
}

/// y = x wᵀ, whatever comes on top.
static LogicalResult verifyProduct(Operation *op, Value left, Value right, Value result, DictionaryAttr choice = {}) {
  if (failed(verifyChoice(op, choice)))
    return failure();
  auto x = tensorType(left), w = tensorType(right), y = tensorType(result);
  if (x.getRank() != 2 || w.getRank() != 2 || y.getRank() != 2 || x.getDimSize(1) != w.getDimSize(1) ||
      y.getDimSize(1) != w.getDimSize(0) || x.getDimSize(0) != y.getDimSize(0))
    return op->emitOpError() << "(n, k) x (m, k)ᵀ -> (n, m) expected, have " << x << ", " << w << " -> " << y;
  if (x.getElementType() != w.getElementType())
    return op->emitOpError() << "x and weight must have the same element type";
  return success();
}

LogicalResult LinearOp::verify() {
  if (getVersion().has_value() != getAlgorithm().has_value() || (getVersion() && !getLibrary()) ||
      static_cast<int64_t>(getAlgorithm().value_or(0)) < 0)
    return emitOpError("an algorithm is one of a library's of a version, counted from 0");
  return verifyProduct(*this, getX(), getWeight(), getResult());
}

LogicalResult ProductOp::verify() { return verifyProduct(*this, getX(), getWeight(), getResult(), getChoiceAttr()); }
LogicalResult ProductAddOp::verify() { return verifyProduct(*this, getX(), getWeight(), getResult(), getChoiceAttr()); }
LogicalResult ProductMixOp::verify() { return verifyProduct(*this, getX(), getWeight(), getResult(), getChoiceAttr()); }
LogicalResult ProductMixSumOp::verify() {
  return verifyProduct(*this, getX(), getWeight(), getResult(), getChoiceAttr());
}
LogicalResult ProductBackoutOp::verify() {
  return verifyProduct(*this, getX(), getWeight(), getResult(), getChoiceAttr());
}

/// A product's launch up to the parameters that only the plain one has.
template <typename Op> static Call product(Op op, StringRef epilogue, std::optional<Value> output = {}) {
  int64_t rows = slots(op.getX()), columns = channels(op.getResult());
  DictionaryAttr choice = op.getChoiceAttr();
  StringRef stem = choice                      ? choice.template getAs<StringAttr>("family").getValue()
                   : rows <= kernels::gemvRows ? "gemv"
                                               : "gemm";
  // The context keeps the name.
  Call call(op, StringAttr::get(op.getContext(), stem + epilogue).getValue());
  call.type("T", op.getX());
  if (output)
    call.type("O", *output);
  call.dim("K", channels(op.getX())).dim("N", columns);
  if (stem == "gemv")
    return call.dim("M", rows);
  if (!choice) {
    kernels::Tile tile = kernels::gemmTile(rows, columns);
    return call.dim("tile_m", tile.rows).dim("tile_n", tile.columns);
  }
  return call.spread(choice);
}

/// The slots are a parameter of gemv and a scalar of the others.
template <typename Op> static KernelCall withSlots(Op op, Call call) {
  return call.call.family.starts_with("gemv") ? call : call.scalar(slots(op.getX()));
}

KernelCall ProductOp::getKernelCall() {
  return withSlots(*this, product(*this, "", getResult()).dim("norm", getNorm()).dim("relu2", getRelu2()));
}

KernelCall ProductAddOp::getKernelCall() { return withSlots(*this, product(*this, "_add")); }
KernelCall ProductMixOp::getKernelCall() { return withSlots(*this, product(*this, "_mix").scalar(getLayer())); }
KernelCall ProductBackoutOp::getKernelCall() { return withSlots(*this, product(*this, "_backout")); }
KernelCall ProductMixSumOp::getKernelCall() { return withSlots(*this, product(*this, "_mix_sum").scalar(getLayer())); }

KernelCall RopeOp::getKernelCall() {
  int64_t dim = channels(getTable());
  return Call(*this, "rope")
      .type("T", getX())
      .type("P", getTable())
      .dim("heads", channels(getX()) / dim)
      .dim("D", dim)
      .scalar(slots(getX()));
}

KernelCall ScaleOp::getKernelCall() {
  return Call(*this, "scale").type("T", getX()).scalar(getFactor()).scalar(tensorType(getX()).getNumElements());
}

KernelCall ValueGateOp::getKernelCall() {
  int64_t heads = slots(getGate());
  return Call(*this, "value_gate")
      .type("T", getV())
      .dim("heads", heads)
      .dim("D", channels(getV()) / heads)
      .dim("C", channels(getH()))
      .dim("channels", channels(getGate()))
      .scalar(getRange())
      .scalar(slots(getV()));
}

static APFloat attentionScale(KvType kv) {
  return APFloat(static_cast<float>(1.0 / std::sqrt(static_cast<double>(kv.getDim()))));
}

static StringRef familyOf(AttentionOp op) {
  DictionaryAttr choice = op.getChoiceAttr();
  return choice ? choice.getAs<StringAttr>("family").getValue() : "attention";
}

KernelCall AttentionOp::getKernelCall() {
  auto kv = cast<KvType>(getKv().getType());
  Call call(*this, familyOf(*this));
  call.type("T", getQ())
      .dim("heads", channels(getQ()) / kv.getDim())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions());
  if (DictionaryAttr choice = getChoiceAttr())
    call.spread(choice);
  return call.scalar(getWindow()).scalar(attentionScale(kv)).scalar(slots(getQ()));
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyChoice(*this, getChoiceAttr())))
    return failure();
  if ((familyOf(*this) == "attention_prefill") != (getCounters() != nullptr))
    return emitOpError() << (getCounters() ? "has counters, which " : "has no counters, which ") << familyOf(*this)
                         << (getCounters() ? " has no use for" : " needs");
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
      .type("T", getK())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions())
      .scalar(slots(getK()));
}

KernelCall EmbedNormOp::getKernelCall() {
  return Call(*this, "embed_norm").type("T", getResult()).dim("C", channels(getResult())).scalar(slots(getResult()));
}

KernelCall EmbedSmearOp::getKernelCall() {
  return Call(*this, "embed_smear")
      .type("T", getResult())
      .dim("C", channels(getResult()))
      .dim("channels", tensorType(getGate()).getNumElements())
      .scalar(slots(getResult()));
}

template <typename Op> static Call qkvPrepare(Op op, StringRef family) {
  int64_t dim = channels(op.getTable());
  return Call(op, family)
      .type("T", op.getQkv())
      .type("P", op.getTable())
      .dim("heads", channels(op.getQ()) / dim)
      .dim("kv_heads", channels(op.getK()) / dim)
      .dim("D", dim);
}

template <typename Op> static LogicalResult verifyQkvPrepare(Op op) {
  int64_t dim = channels(op.getTable()), q = channels(op.getQ()), k = channels(op.getK());
  if (dim == 0 || q % dim || k % dim || op.getK().getType() != op.getV().getType() ||
      channels(op.getQkv()) != q + 2 * k)
    return op.emitOpError() << "expects q, k and v of heads of " << dim << " side by side, makes "
                            << op.getQ().getType() << ", " << op.getK().getType() << " and " << op.getV().getType()
                            << " of " << op.getQkv().getType();
  return success();
}

KernelCall QkvPrepareOp::getKernelCall() {
  return qkvPrepare(*this, "qkv_prepare").scalar(getMult()).scalar(slots(getQkv()));
}
LogicalResult QkvPrepareOp::verify() { return verifyQkvPrepare(*this); }

KernelCall QkvPrepareVeOp::getKernelCall() {
  return qkvPrepare(*this, "qkv_prepare_ve")
      .dim("C", channels(getX()))
      .dim("channels", channels(getGate()))
      .scalar(getMult())
      .scalar(slots(getQkv()))
      .scalar(getRange());
}
LogicalResult QkvPrepareVeOp::verify() { return verifyQkvPrepare(*this); }

KernelCall EmbedNormMixOp::getKernelCall() {
  return Call(*this, "embed_norm_mix")
      .type("T", getResult())
      .dim("C", channels(getResult()))
      .scalar(getLayer())
      .scalar(slots(getResult()));
}

KernelCall EmbedSmearMixOp::getKernelCall() {
  return Call(*this, "embed_smear_mix")
      .type("T", getResult())
      .dim("C", channels(getResult()))
      .dim("channels", tensorType(getGate()).getNumElements())
      .scalar(getLayer())
      .scalar(slots(getResult()));
}

/// `spread`: by what the family spreads the work.
template <typename Op>
static Call attentionDecode(Op op, StringRef family, ArrayRef<std::pair<StringRef, int64_t>> spread) {
  auto kv = cast<KvType>(op.getKv().getType());
  Call call(op, family);
  call.type("T", op.getQkv())
      .type("P", op.getTable())
      .dim("heads", channels(op.getResult()) / kv.getDim())
      .dim("kv_heads", kv.getHeads())
      .dim("D", kv.getDim())
      .dim("ring", kv.getPositions());
  for (auto [name, value] : spread)
    call.dim(name, value);
  return call.scalar(op.getMult()).scalar(op.getWindow()).scalar(attentionScale(kv)).scalar(slots(op.getQkv()));
}

template <typename Op> static LogicalResult verifyAttentionDecode(Op op) {
  auto kv = cast<KvType>(op.getKv().getType());
  int64_t width = channels(op.getResult()), keys = kv.getHeads() * kv.getDim();
  if (width == 0 || width % keys || channels(op.getQkv()) != width + 2 * keys || channels(op.getTable()) != kv.getDim())
    return op.emitOpError() << "expects q of the result's " << width << " channels and k and v of " << kv.getHeads()
                            << " heads of " << kv.getDim() << " side by side, has " << op.getQkv().getType();
  if (static_cast<int64_t>(op.getWindow()) < 0)
    return op.emitOpError("window must be 0 or more");
  if (slots(op.getQkv()) > kv.getRows())
    return op.emitOpError() << "serves " << slots(op.getQkv()) << " rows, the ring holds " << kv.getRows();
  return success();
}

template <typename Op> static LogicalResult verifyCluster(Op op) {
  if (static_cast<int64_t>(op.getCluster()) < 1)
    return op.emitOpError("cluster must be 1 or more");
  return verifyAttentionDecode(op);
}

KernelCall AttentionDecodeOp::getKernelCall() {
  return attentionDecode(*this, "attention_decode", {{"cluster", getCluster()}});
}
LogicalResult AttentionDecodeOp::verify() { return verifyCluster(*this); }

KernelCall AttentionDecodeVeOp::getKernelCall() {
  return attentionDecode(*this, "attention_decode_ve", {{"cluster", getCluster()}})
      .dim("C", channels(getX()))
      .dim("channels", channels(getGate()))
      .scalar(getRange());
}
LogicalResult AttentionDecodeVeOp::verify() { return verifyCluster(*this); }

template <typename Op> static LogicalResult verifyAttentionBatch(Op op) {
  auto kv = cast<KvType>(op.getKv().getType());
  if (static_cast<int64_t>(op.getChunk()) < 1 || static_cast<int64_t>(op.getBlocks()) < 1)
    return op.emitOpError("chunk and blocks must be 1 or more");
  if (tensorType(op.getCounters()).getNumElements() < slots(op.getQkv()) * kv.getHeads())
    return op.emitOpError() << "needs a counter for each of " << slots(op.getQkv()) << " rows and " << kv.getHeads()
                            << " heads, has " << op.getCounters().getType();
  return verifyAttentionDecode(op);
}

KernelCall AttentionBatchOp::getKernelCall() {
  return attentionDecode(*this, "attention_batch", {{"chunk", getChunk()}, {"blocks", getBlocks()}});
}
LogicalResult AttentionBatchOp::verify() { return verifyAttentionBatch(*this); }

KernelCall AttentionBatchVeOp::getKernelCall() {
  return attentionDecode(*this, "attention_batch_ve", {{"chunk", getChunk()}, {"blocks", getBlocks()}})
      .dim("C", channels(getX()))
      .dim("channels", channels(getGate()))
      .scalar(getRange());
}
LogicalResult AttentionBatchVeOp::verify() { return verifyAttentionBatch(*this); }

KernelCall AddOp::getKernelCall() {
  return Call(*this, "add").type("T", getA()).scalar(tensorType(getA()).getNumElements());
}

KernelCall Relu2Op::getKernelCall() {
  return Call(*this, "relu2").type("T", getX()).scalar(tensorType(getX()).getNumElements());
}

KernelCall MixOp::getKernelCall() {
  return Call(*this, "mix").type("T", getX()).scalar(getLayer()).scalar(tensorType(getX()).getNumElements());
}

KernelCall BackoutOp::getKernelCall() {
  return Call(*this, "backout").type("T", getX()).scalar(tensorType(getX()).getNumElements());
}

KernelCall LastOp::getKernelCall() {
  return Call(*this, "last").type("T", getX()).dim("C", channels(getX())).scalar(slots(getResult()));
}

KernelCall SoftcapOp::getKernelCall() {
  return Call(*this, "softcap")
      .dim("V", channels(getResult()))
      .dim("Vp", channels(getZ()))
      .scalar(getCap())
      .scalar(slots(getZ()));
}

KernelCall SampleOp::getKernelCall() {
  return Call(*this, "sample").dim("V", getVocab()).dim("Vp", channels(getZ())).scalar(getCap()).scalar(slots(getZ()));
}

KernelCall NllOp::getKernelCall() {
  return Call(*this, "nll").dim("V", channels(getLogits())).scalar(slots(getLogits()));
}

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.cpp.inc"
