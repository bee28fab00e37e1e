// The launches that make the first residual become one.
#include "compiler/passes/Fusion.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "kern-fuse-embed"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEEMBED
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

ALWAYS_ENABLED_STATISTIC(merged, "Launches that went into others");

namespace {

/// The input that an entry takes `value` from; empty for anything else.
StringRef bindingOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto entry = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  if (!entry)
    return {};
  auto name = entry.getArgAttrOfType<StringAttr>(argument.getArgNumber(), nano::NanoDialect::bindingAttr);
  return name ? name.getValue() : StringRef();
}

/// rms_norm(embed(ids)) over whole rows, where the ids are the input `binding`.
kern::EmbedOp normedEmbed(Value value, StringRef binding) {
  auto norm = value.getDefiningOp<kern::RmsNormOp>();
  if (!norm || static_cast<int64_t>(norm.getWidth()) != cast<ShapedType>(norm.getType()).getShape().back())
    return {};
  auto embed = norm.getX().getDefiningOp<kern::EmbedOp>();
  return embed && !embed.getNorm() && bindingOf(embed.getTokens()) == binding ? embed : kern::EmbedOp();
}

StringRef tableOf(kern::EmbedOp embed) {
  auto ref = embed.getTable().getDefiningOp<kern::RefOp>();
  return ref ? ref.getSymbol() : StringRef();
}

struct KernFuseEmbedPass : nanocc::impl::KernFuseEmbedBase<KernFuseEmbedPass> {
  void runOnOperation() override {
    const FusionScope scope(getOperation(), "embed", merged);
    if (!scope)
      return;
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>())
      for (func::FuncOp entry : program.getOps<func::FuncOp>()) {
        // Smear first: it takes both norms with it.
        for (kern::SmearOp smear : llvm::make_early_inc_range(entry.getOps<kern::SmearOp>()))
          fuse(smear);
        for (kern::RmsNormOp norm : llvm::make_early_inc_range(entry.getOps<kern::RmsNormOp>()))
          fuse(norm);
        for (kern::MixOp mix : llvm::make_early_inc_range(entry.getOps<kern::MixOp>()))
          fuse(mix);
      }
  }

  /// The first layer's mix, of x0 with itself.
  static void fuse(kern::MixOp mix) {
    auto embed = mix.getX0().getDefiningOp<kern::EmbedOp>();
    if (mix.getX() != mix.getX0() || !embed || !embed.getNorm() || embed.getResid())
      return;
    // The launch goes where the mix is, as its coefficients are declared by then: nothing may want x0 before.
    if (!llvm::all_of(embed->getUsers(), [&](Operation *user) {
          return user == mix || (user->getBlock() == mix->getBlock() && mix->isBeforeInBlock(user));
        })) {
      LDBG() << placeOf(mix) << " stays: something reads the embedding before it";
      return;
    }
    LDBG() << placeOf(mix) << " goes into " << placeOf(embed);
    OpBuilder builder(mix);
    auto fused = kern::EmbedOp::create(builder, mix.getLoc(), TypeRange{embed.getResult().getType(), mix.getType()},
                                       embed->getOperands(), embed->getAttrs());
    fused.getResidMutable().assign(mix.getResid());
    fused.getSkipMutable().assign(mix.getSkip());
    fused.setLayer(mix.getLayer());
    mix.getResult().replaceAllUsesWith(fused.getResult());
    mix.erase();
    embed.getResult().replaceAllUsesWith(fused.getX0());
    embed.erase();
  }

  static void fuse(kern::SmearOp smear) {
    kern::EmbedOp embed = normedEmbed(smear.getU(), "tokens"), before = normedEmbed(smear.getPrev(), "prev");
    if (!embed || !before || tableOf(embed).empty() || tableOf(embed) != tableOf(before))
      return;
    replace(smear, normed(smear, embed, before.getTokens(), smear.getGate(), smear.getLambda()));
  }

  static void fuse(kern::RmsNormOp norm) {
    kern::EmbedOp embed = normedEmbed(norm, "tokens");
    if (!embed || !embed->hasOneUse())
      return;
    replace(norm, normed(norm, embed, Value(), Value(), Value()));
  }

  /// In the place of `op`; smeared if `prev` is given.
  static Operation *normed(Operation *op, kern::EmbedOp embed, Value prev, Value gate, Value lambda) {
    OpBuilder builder(op);
    return kern::EmbedOp::create(builder, op->getLoc(), op->getResultTypes(), embed.getTokens(), embed.getTable(),
                                 /*norm=*/true, prev, gate, lambda, Value(), Value(), IntegerAttr());
  }

  /// Erases `from` and what only it used.
  static void replace(Operation *from, Operation *to) {
    LDBG() << placeOf(from) << " becomes " << to->getName();
    from->getResult(0).replaceAllUsesWith(to->getResult(0));
    SmallVector<Operation *> dead = {from};
    while (!dead.empty()) {
      Operation *op = dead.pop_back_val();
      SetVector<Operation *> operands;
      for (Value operand : op->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          operands.insert(producer);
      op->erase();
      for (Operation *producer : operands)
        if (isa<kern::KernelOp>(producer) && isMemoryEffectFree(producer) && producer->use_empty())
          dead.push_back(producer);
    }
  }
};

} // namespace
