// Attention: q, k and v from one product, and all that follows them in one launch; of one token up to the ring, else up
// to the attention.
#include "codegen/Choices.h"
#include "compiler/passes/Fusion.h"
#include "compiler/passes/Passes.h"

#include "dialects/ElementTypes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-fuse-attention"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEATTENTION
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(merged, "Launches that went into others");

namespace {

/// One attention with what leads to it.
struct Match {
  kern::AttentionOp attention;
  kern::KvWriteOp write;
  kern::RopeOp rope;
  kern::ProductOp q, k, v;
  kern::ValueGateOp gate; // may be null
  kern::RmsNormOp norm;   // that made the linears' input; wanted by the gate alone
  float mult = 1;
  SmallVector<Operation *> replaced; // from what makes q, k and v up to the linears
};

/// The values are one handle, or handles of one declaration.
bool sameHandle(Value a, Value b) {
  auto x = a.getDefiningOp<kern::RefOp>(), y = b.getDefiningOp<kern::RefOp>();
  return a == b || (x && y && x.getSymbol() == y.getSymbol() && x.getPart() == y.getPart());
}

kern::WeightOp weightOf(kern::ProductOp linear) {
  auto ref = linear.getWeight().getDefiningOp<kern::RefOp>();
  return ref ? SymbolTable::lookupNearestSymbolFrom<kern::WeightOp>(linear->getParentOfType<kern::ProgramOp>(),
                                                                    ref.getSymbolAttr())
             : kern::WeightOp();
}

/// q or k back to its linear: multiplier if there is one, norm of heads, rotation. `uses` are those of `value`.
struct Head {
  kern::ProductOp linear;
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
  head.linear = head.rope.getX().getDefiningOp<kern::ProductOp>();
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
        static_cast<int64_t>(match.norm.getWidth()) !=
            cast<ShapedType>(kern::RmsNormOp(match.norm).getType()).getShape().back())
      return "its value gate does not read the norm that q, k and v are made of";
    match.replaced.push_back(gate);
    v = gate.getV();
    uses = 1;
  }
  match.v = v.getDefiningOp<kern::ProductOp>();
  if (!match.v || !match.v.getResult().hasNUses(uses) || match.q.getX() != match.k.getX() ||
      match.q.getX() != match.v.getX())
    return "q, k and v are not linear layers of one input";
  match.replaced.push_back(match.v);
  for (kern::ProductOp linear : {match.q, match.k, match.v})
    if (!weightOf(linear) || !linear.isPlain() || linear.getNorm() || linear.getChoice())
      return "a matrix of q, k or v is not a weight of the program";
  return {};
}

/// The value gate's operands in the fused launches, null without one.
struct Gate {
  Value x, tokens, embeds, gate;
  FloatAttr range;
  explicit Gate(const Match &match) {
    if (kern::ValueGateOp own = match.gate) {
      x = kern::RmsNormOp(match.norm).getX();
      tokens = own.getTokens();
      embeds = own.getTable();
      gate = own.getGate();
      range = own.getRangeAttr();
    }
  }
};

class Fusion {
public:
  explicit Fusion(kern::ProgramOp program) : program(program), symbols(program), builder(program.getContext()) {}

  void run() {
    program.walk([&](kern::AttentionOp attention) {
      Match match;
      match.attention = attention;
      if (StringRef reason = find(match); reason.empty())
        matches.push_back(match);
      else
        refuse(match, reason);
    });
    // A weight is resident once: its matrices become one for all entries or for none.
    DenseMap<StringAttr, unsigned> fused;
    for (Match &match : matches)
      for (kern::ProductOp linear : {match.q, match.k, match.v})
        ++fused[weightOf(linear).getSymNameAttr()];
    program.walk([&](kern::RefOp ref) {
      if (auto uses = fused.find(ref.getSymbolAttr().getAttr()); uses != fused.end() && ref.getPart() == 0)
        uses->second -= std::distance(ref->use_begin(), ref->use_end());
    });
    for (Match &match : matches) {
      bool shared = llvm::all_of(ArrayRef{match.q, match.k, match.v}, [&](kern::ProductOp linear) {
        return fused.lookup(weightOf(linear).getSymNameAttr()) == 0;
      });
      if (!shared)
        refuse(match, "other launches read the matrices of q, k or v");
      else if (std::string reason = prepared(match); !reason.empty())
        refuse(match, reason);
      else
        fuse(match);
    }
    program.walk([&](kern::RefOp ref) {
      if (parts.contains(ref.getSymbolAttr().getAttr()))
        ref.erase(); // nothing uses it: see above
    });
    for (StringAttr part : parts)
      symbols.erase(symbols.lookup(part));
  }

private:
  static void refuse(Match &match, const Twine &reason) {
    // One line: by way of the operation it would be followed by all its types.
    mlir::emitRemark(match.attention->getLoc()) << "'" << match.attention->getName() << "' stays as it is: " << reason;
  }

  static bool isDecode(Operation *op) {
    auto shape = op->getParentOfType<func::FuncOp>()->getAttrOfType<DictionaryAttr>(nano::NanoDialect::entryAttr);
    auto kind = shape ? shape.getAs<StringAttr>("kind") : StringAttr();
    return kind && kind.getValue() == "decode";
  }

  /// The match as a problem of the fused meanings; nullopt if its types are not those of kernels.
  static std::optional<codegen::Problem> problemOf(const Match &match, StringRef meaning) {
    kern::AttentionOp a = match.attention;
    auto kv = cast<kern::KvType>(a.getKv().getType());
    auto type = cast<RankedTensorType>(a.getType());
    std::optional<kernels::DType> T = dtypeOf(type.getElementType()),
                                  P = dtypeOf(getElementTypeOrSelf(kern::RopeOp(match.rope).getTable()));
    if (!T || !P)
      return std::nullopt;
    codegen::Problem problem{(meaning + (match.gate ? "_gate" : "")).str(),
                             {{"T", static_cast<int64_t>(*T)},
                              {"P", static_cast<int64_t>(*P)},
                              {"heads", type.getDimSize(1) / kv.getDim()},
                              {"kv_heads", kv.getHeads()},
                              {"D", kv.getDim()},
                              {"ring", kv.getPositions()},
                              {"window", static_cast<int64_t>(a.getWindow())},
                              {"n", type.getDimSize(0)}}};
    if (kern::ValueGateOp gate = match.gate) {
      problem.values.set("C", cast<RankedTensorType>(kern::RmsNormOp(match.norm).getType()).getDimSize(1));
      problem.values.set("channels", cast<RankedTensorType>(gate.getGate().getType()).getShape().back());
    }
    return problem;
  }

  /// Empty, or why no kernel serves the match. What entries share decides, so that all of them are served or none.
  static std::string prepared(const Match &match) {
    const std::optional<codegen::Problem> problem = problemOf(match, "prepare_qkv");
    return problem ? kernels::catalogue().meaning(problem->meaning)->constraint(problem->values)
                   : "its types are not those of kernels";
  }

  void fuse(Match &match) {
    builder.setInsertionPoint(match.attention);
    kern::WeightOp weight = concatenate(match);
    auto input = cast<RankedTensorType>(match.q.getX().getType());
    auto type = RankedTensorType::get({input.getDimSize(0), cast<RankedTensorType>(weight.getType()).getDimSize(0)},
                                      input.getElementType());
    Value qkv = kern::ProductOp::create(builder, match.q.getLoc(), type, match.q.getX(),
                                        weight.refer(builder, match.q.getLoc()))
                    .getResult();
    if (isDecode(match.attention) && isServed(*problemOf(match, "attention_step")))
      step(match, qkv);
    else
      prepare(match, qkv);
    for (Operation *op : match.replaced)
      op->erase();
  }

  /// q, k and v in one launch; the attention and the ring's update stay.
  void prepare(Match &match, Value qkv) {
    kern::AttentionOp a = match.attention;
    kern::KvWriteOp w = match.write;
    Type types[] = {a.getQ().getType(), a.getK().getType(), a.getV().getType()};
    Location loc = match.rope.getLoc();
    FloatAttr mult = builder.getF32FloatAttr(match.mult);
    Value table = match.rope.getTable();
    Gate gate(match);
    LDBG() << placeOf(a) << " gets q, k and v from one launch";
    auto made = kern::PrepareQkvOp::create(builder, loc, types[0], types[1], types[2], qkv, table, a.getPositions(),
                                           gate.x, gate.tokens, gate.embeds, gate.gate, mult, gate.range);
    a.getQMutable().assign(made->getResult(0));
    for (OpOperand *keys : {&a.getKMutable(), &w.getKMutable()})
      keys->assign(made->getResult(1));
    for (OpOperand *values : {&a.getVMutable(), &w.getVMutable()})
      values->assign(made->getResult(2));
  }

  /// Whether some engine of the program's target serves it.
  bool isServed(const codegen::Problem &problem) {
    return kernels::catalogue().meaning(problem.meaning)->constraint(problem.values).empty() &&
           !codegen::choicesFor(problem, program.getSymName().str()).empty();
  }

  /// Everything from the rotation to the ring in one launch.
  void step(Match &match, Value qkv) {
    kern::AttentionOp a = match.attention;
    FloatAttr mult = builder.getF32FloatAttr(match.mult);
    Gate gate(match);
    LDBG() << placeOf(a) << " becomes one launch with all that leads to it";
    auto fused = kern::AttentionStepOp::create(builder, a.getLoc(), TypeRange(a.getType()), qkv, match.rope.getTable(),
                                               a.getRows(), a.getPositions(), a.getKv(), gate.x, gate.tokens,
                                               gate.embeds, gate.gate, /*counters=*/Value(), mult, a.getWindowAttr(),
                                               gate.range, DictionaryAttr(), ArrayAttr());
    a.getResult().replaceAllUsesWith(fused.getResult());
    match.write->erase();
    a->erase();
  }

  /// The three matrices one below another, declared where the first is.
  kern::WeightOp concatenate(const Match &match) {
    kern::WeightOp matrices[] = {weightOf(match.q), weightOf(match.k), weightOf(match.v)};
    SmallVector<Attribute> params;
    int64_t rows = 0;
    for (kern::WeightOp matrix : matrices) {
      llvm::append_range(params, matrix.getParams());
      rows += cast<RankedTensorType>(matrix.getType()).getDimSize(0);
    }
    kern::WeightOp &whole = wholes[builder.getArrayAttr(params)];
    if (whole)
      return whole;
    auto first = cast<RankedTensorType>(matrices[0].getType());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(matrices[0]);
    whole = kern::WeightOp::create(builder, matrices[0].getLoc(), (matrices[0].getSymName() + ".qkv").str(),
                                   builder.getArrayAttr(params),
                                   RankedTensorType::get({rows, first.getDimSize(1)}, first.getElementType()));
    symbols.insert(whole); // another name where this one is taken
    for (kern::WeightOp matrix : matrices)
      parts.insert(matrix.getSymNameAttr());
    return whole;
  }

  kern::ProgramOp program;
  SymbolTable symbols;
  OpBuilder builder;
  SmallVector<Match> matches;
  llvm::MapVector<Attribute, kern::WeightOp> wholes; // by their parameters
  SetVector<StringAttr> parts;                       // what no launch reads any more
};

struct KernFuseAttentionPass : nanocc::impl::KernFuseAttentionBase<KernFuseAttentionPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "attention", merged);
    if (!scope)
      return;
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>())
      Fusion(program).run();
  }
};

} // namespace
