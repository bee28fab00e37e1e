// One token's attention: q, k and v from one linear, and all that follows them up to the ring in one launch.
#include "compiler/analysis/Family.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/attention_decode/shape.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEATTENTION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

namespace decode = kernels::attention_decode;

/// Blocks that fill a large device about twice; chunks grow until a layer has no more at batch 1.
constexpr int64_t enoughBlocks = 264;

/// One attention of a decode entry with what leads to it.
struct Match {
  kern::AttentionOp attention;
  kern::KvWriteOp write;
  kern::RopeOp rope;
  kern::LinearOp q, k, v;
  kern::ValueGateOp gate; // may be null
  kern::RmsNormOp norm;   // that made the linears' input; wanted by the gate alone
  float mult = 1;
  SmallVector<Operation *> replaced; // from the ring's update up to the linears
};

/// The values are one handle, or handles of one declaration.
bool sameHandle(Value a, Value b) {
  auto x = a.getDefiningOp<kern::RefOp>(), y = b.getDefiningOp<kern::RefOp>();
  return a == b || (x && y && x.getSymbol() == y.getSymbol() && x.getRow() == y.getRow());
}

kern::WeightOp weightOf(kern::LinearOp linear) {
  auto ref = linear.getWeight().getDefiningOp<kern::RefOp>();
  return ref && !ref.getRow() ? SymbolTable::lookupNearestSymbolFrom<kern::WeightOp>(
                                    linear->getParentOfType<kern::ProgramOp>(), ref.getSymbolAttr())
                              : kern::WeightOp();
}

/// q or k back to its linear: multiplier if there is one, norm of heads, rotation. `uses` are those of `value`.
struct Head {
  kern::LinearOp linear;
  kern::RopeOp rope;
  float mult = 1;
};
std::optional<Head> headOf(Value value, unsigned uses, int64_t dim, Match &match) {
  Head head;
  auto take = [&](Operation *op) {
    if (!op || static_cast<unsigned>(std::distance(op->use_begin(), op->use_end())) != uses)
      return false;
    uses = 1;
    match.replaced.push_back(op);
    return true;
  };
  if (auto scale = value.getDefiningOp<kern::ScaleOp>()) {
    if (!take(scale))
      return std::nullopt;
    head.mult = scale.getFactor().convertToFloat();
    value = scale.getX();
  }
  auto norm = value.getDefiningOp<kern::RmsNormOp>();
  if (!take(norm) || static_cast<int64_t>(norm.getWidth()) != dim)
    return std::nullopt;
  head.rope = norm.getX().getDefiningOp<kern::RopeOp>();
  if (!take(head.rope))
    return std::nullopt;
  head.linear = head.rope.getX().getDefiningOp<kern::LinearOp>();
  return take(head.linear) ? std::optional(head) : std::nullopt;
}

/// What keeps an attention eager; empty if `match` is complete.
StringRef find(Match &match) {
  kern::AttentionOp a = match.attention;
  auto kv = cast<kern::KvType>(a.getKv().getType());
  for (Operation *user : a.getK().getUsers())
    if (auto write = dyn_cast<kern::KvWriteOp>(user))
      match.write = write;
  kern::KvWriteOp w = match.write;
  if (!w || w.getK() != a.getK() || w.getV() != a.getV() || w.getRows() != a.getRows() ||
      w.getPositions() != a.getPositions() || !sameHandle(w.getKv(), a.getKv()))
    return "its keys and values are not what the ring gets";
  match.replaced = {w, a};
  std::optional<Head> q = headOf(a.getQ(), 1, kv.getDim(), match), k = headOf(a.getK(), 2, kv.getDim(), match);
  if (!q || !k || q->mult != k->mult || !sameHandle(q->rope.getTable(), k->rope.getTable()) ||
      q->rope.getPositions() != a.getPositions() || k->rope.getPositions() != a.getPositions())
    return "q and k are not linear layers with the same rotation, norm of heads and multiplier";
  match.q = q->linear;
  match.k = k->linear;
  match.rope = q->rope;
  match.mult = q->mult;
  Value v = a.getV();
  unsigned uses = 2;
  if (auto gate = v.getDefiningOp<kern::ValueGateOp>(); gate && gate.getResult().hasNUses(2)) {
    match.gate = gate;
    match.norm = gate.getH().getDefiningOp<kern::RmsNormOp>();
    if (!match.norm || gate.getH() != match.q.getX() ||
        static_cast<int64_t>(match.norm.getWidth()) != cast<ShapedType>(match.norm.getType()).getShape().back())
      return "its value gate does not read the norm that q, k and v are made of";
    match.replaced.push_back(gate);
    v = gate.getV();
    uses = 1;
  }
  match.v = v.getDefiningOp<kern::LinearOp>();
  if (!match.v || !match.v.getResult().hasNUses(uses) || match.q.getX() != match.k.getX() || match.q.getX() != match.v.getX())
    return "q, k and v are not linear layers of one input";
  match.replaced.push_back(match.v);
  int64_t rowBytes = 0;
  for (kern::LinearOp linear : {match.q, match.k, match.v}) {
    kern::WeightOp weight = weightOf(linear);
    if (!weight || linear.getLibrary())
      return "a matrix of q, k or v is not a weight of the program";
    auto type = cast<RankedTensorType>(weight.getType());
    rowBytes = type.getDimSize(1) * type.getElementTypeBitWidth() / 8;
  }
  // Prefill reads the same bytes as three constants.
  if (rowBytes * kv.getHeads() * kv.getDim() % 256)
    return "the matrices of k and v do not start at a multiple of 256 bytes in a common one";
  return {};
}

class Fusion {
public:
  explicit Fusion(kern::ProgramOp program) : program(program), symbols(program), builder(program.getContext()) {}

  void run() {
    for (func::FuncOp entry : program.getOps<func::FuncOp>()) {
      auto shape = entry->getAttrOfType<DictionaryAttr>(nano::NanoDialect::entryAttr);
      auto kind = shape ? shape.getAs<StringAttr>("kind") : StringAttr();
      if (!kind || kind.getValue() != "decode")
        continue;
      for (kern::AttentionOp attention : llvm::make_early_inc_range(entry.getOps<kern::AttentionOp>())) {
        Match match;
        match.attention = attention;
        std::string reason = find(match).str();
        if (reason.empty())
          reason = fuse(match);
        if (!reason.empty())
          attention.emitRemark() << "stays as it is: " << reason;
      }
    }
    share();
  }

private:
  /// Empty, or why the template does not serve it.
  std::string fuse(Match &match) {
    kern::AttentionOp a = match.attention;
    auto kv = cast<kern::KvType>(a.getKv().getType());
    auto type = cast<RankedTensorType>(a.getType());
    int64_t slots = type.getDimSize(0), heads = type.getDimSize(1) / kv.getDim(), ring = kv.getPositions();
    Type element = type.getElementType();
    // Chunks are the same for every batch: a row's result does not depend on how many there are.
    int64_t chunk = 32;
    auto chunks = [&] { return static_cast<int64_t>(decode::chunksOf(a.getWindow(), ring, chunk)); };
    while (chunk < 256 && kv.getHeads() * chunks() > enoughBlocks)
      chunk *= 2;
    std::optional<kernels::DType> T = dtypeOf(element), P = dtypeOf(getElementTypeOrSelf(match.rope.getTable()));
    if (!T || !P)
      return "its types are not those of kernels";
    auto family = [&] {
      return kernels::Params{{{"T", static_cast<int64_t>(*T)},
                              {"P", static_cast<int64_t>(*P)},
                              {"heads", heads},
                              {"kv_heads", kv.getHeads()},
                              {"D", kv.getDim()},
                              {"ring", ring},
                              {"chunk", chunk}}};
    };
    std::string violated = decode::constraint(family());
    for (; !violated.empty() && chunk > 1; violated = decode::constraint(family()))
      chunk /= 2; // wide heads leave less shared memory
    if (!violated.empty())
      return violated;

    builder.setInsertionPoint(a);
    Location loc = a.getLoc();
    kern::WeightOp weight = concatenate(match);
    Value w = kern::RefOp::create(builder, loc, weight.getType(), FlatSymbolRefAttr::get(weight.getSymNameAttr()));
    auto qkvType = RankedTensorType::get({slots, (heads + 2 * kv.getHeads()) * kv.getDim()}, element);
    Value qkv = kern::LinearOp::create(builder, match.q.getLoc(), qkvType, match.q.getX(), w, StringAttr());
    auto partials = RankedTensorType::get({slots * heads * chunks(), kv.getDim() + 2}, builder.getF32Type());
    FloatAttr mult = builder.getF32FloatAttr(match.mult);
    IntegerAttr window = builder.getI64IntegerAttr(a.getWindow()), size = builder.getI64IntegerAttr(chunk);
    Value zeros = countersOf(loc), table = match.rope.getTable();
    Operation *fused;
    if (kern::ValueGateOp gate = match.gate)
      fused = kern::AttentionDecodeVeOp::create(builder, loc, partials, type, qkv, table, a.getRows(), a.getPositions(),
                                                a.getKv(), zeros, match.norm.getX(), gate.getTokens(), gate.getTable(),
                                                gate.getGate(), mult, window, size, gate.getRangeAttr());
    else
      fused = kern::AttentionDecodeOp::create(builder, loc, partials, type, qkv, table, a.getRows(), a.getPositions(),
                                              a.getKv(), zeros, mult, window, size);
    a.getResult().replaceAllUsesWith(fused->getResult(1));
    for (Operation *op : match.replaced)
      op->erase();
    return {};
  }

  /// The three matrices one below another, declared where the first is.
  kern::WeightOp concatenate(const Match &match) {
    kern::WeightOp parts[] = {weightOf(match.q), weightOf(match.k), weightOf(match.v)};
    SmallVector<Attribute> params;
    int64_t rows = 0;
    for (kern::WeightOp part : parts) {
      llvm::append_range(params, part.getParams());
      rows += cast<RankedTensorType>(part.getType()).getDimSize(0);
    }
    kern::WeightOp &whole = wholes[builder.getArrayAttr(params)];
    if (whole)
      return whole;
    auto first = cast<RankedTensorType>(parts[0].getType());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(parts[0]);
    whole = kern::WeightOp::create(builder, parts[0].getLoc(), (parts[0].getSymName() + ".qkv").str(),
                                   builder.getArrayAttr(params),
                                   RankedTensorType::get({rows, first.getDimSize(1)}, first.getElementType()));
    symbols.insert(whole); // another name where this one is taken
    int64_t row = 0;
    for (kern::WeightOp part : parts) {
      ranges.insert({part.getSymNameAttr(), {whole, row}});
      row += cast<RankedTensorType>(part.getType()).getDimSize(0);
    }
    return whole;
  }

  /// A word per row and head of the largest ring, shared by all launches: they follow each other.
  Value countersOf(Location loc) {
    if (!counters) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(&program.getBody().front());
      int64_t words = 0;
      for (auto cache : program.getOps<kern::CacheOp>()) {
        auto ring = cast<kern::KvType>(cache.getType());
        words = std::max(words, ring.getRows() * ring.getHeads());
      }
      auto word = IntegerType::get(builder.getContext(), 32, IntegerType::Unsigned);
      counters = kern::CountersOp::create(builder, loc, "counters", RankedTensorType::get({words}, word));
      symbols.insert(counters);
    }
    return kern::RefOp::create(builder, loc, counters.getType(), FlatSymbolRefAttr::get(counters.getSymNameAttr()));
  }

  /// Other entries read their rows of the common matrices, so that a weight is resident once.
  void share() {
    program.walk([&](kern::RefOp ref) {
      auto range = ranges.find(ref.getSymbolAttr().getAttr());
      if (range == ranges.end())
        return;
      auto [whole, row] = range->second;
      ref.setSymbol(whole.getSymName());
      ref.setRow(row);
    });
    for (auto &[name, range] : ranges)
      symbols.erase(symbols.lookup(name.getValue()));
  }

  kern::ProgramOp program;
  SymbolTable symbols;
  OpBuilder builder;
  kern::CountersOp counters;
  llvm::MapVector<Attribute, kern::WeightOp> wholes;                         // by their parameters
  llvm::MapVector<StringAttr, std::pair<kern::WeightOp, int64_t>> ranges; // where a weight's rows are now
};

struct KernFuseAttentionPass : nanocc::impl::KernFuseAttentionBase<KernFuseAttentionPass> {
  void runOnOperation() override {
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>())
      Fusion(program).run();
  }
};

} // namespace
