// From a model's facts to its module in the `nano` dialect: the equations of nanochat's forward pass, once.
#include "compiler/import/ModelConfig.h"

#include "dialects/nano/Nano.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "runtime/base/error.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using nanocc::ModelConfig;

namespace {

class Emitter {
public:
  Emitter(MLIRContext &context, const ModelConfig &config)
      : config(config), builder(&context), loc(builder.getUnknownLoc()), module(ModuleOp::create(loc)) {}

  OwningOpRef<ModuleOp> run() {
    facts();
    declarations();
    forward();
    return std::move(module);
  }

private:
  void facts() {
    auto number = [&](StringRef key, int64_t value) {
      return builder.getNamedAttr(key, builder.getI64IntegerAttr(value));
    };
    module->getOperation()->setAttr(
        nanocc::nano::NanoDialect::modelAttr,
        builder.getDictionaryAttr({builder.getNamedAttr("name", builder.getStringAttr(config.name)),
                                   number("layers", config.layers), number("width", config.width),
                                   number("heads", config.heads), number("kv_heads", config.kvHeads),
                                   number("head_dim", config.headDim), number("vocab", config.vocab),
                                   number("sequence_len", config.sequenceLen)}));
    module->getOperation()->setAttr(nanocc::nano::NanoDialect::weightsAttr, builder.getStringAttr(config.weights));
    if (config.tokenizer)
      module->getOperation()->setAttr(nanocc::nano::NanoDialect::tokenizerAttr,
                                      builder.getStringAttr(*config.tokenizer));
  }

  /// "transformer.h.0.attn.c_q.weight" is the symbol @h.0.attn.c_q; a symbol need not carry what all names share.
  static std::string symbolOf(StringRef tensor) {
    tensor.consume_front("transformer.");
    tensor.consume_back(".weight");
    return tensor.str();
  }

  void declarations() {
    builder.setInsertionPointToEnd(module->getBody());
    for (const nanocc::ParameterDecl &parameter : nanocc::parametersOf(config)) {
      SmallVector<int64_t> shape(parameter.shape.begin(), parameter.shape.end());
      Type element = shape.size() > 1 && !config.keepDtype ? Type(builder.getBF16Type()) : Type(builder.getF32Type());
      builder.create<nanocc::nano::ParamDeclOp>(loc, symbolOf(parameter.name), RankedTensorType::get(shape, element),
                                                parameter.name);
    }
    for (uint32_t i = 0; i < config.layers; ++i)
      builder.create<nanocc::nano::CacheOp>(
          loc, "kv." + std::to_string(i), config.kvHeads, config.headDim,
          config.windows[i] ? builder.getI64IntegerAttr(config.windows[i]) : IntegerAttr());
  }

  RankedTensorType activation(int64_t channels) {
    return RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic, channels}, builder.getF32Type());
  }
  FlatSymbolRefAttr symbol(const std::string &name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }

  Value norm(Value x, int64_t groups = 1) {
    return builder.create<nanocc::nano::RmsNormOp>(loc, x.getType(), x, groups);
  }
  Value linear(Value x, const std::string &weight, int64_t channels) {
    return builder.create<nanocc::nano::LinearOp>(loc, activation(channels), x, symbol(weight));
  }
  Value add(Value a, Value b) { return builder.create<nanocc::nano::AddOp>(loc, a.getType(), a, b); }
  Value embed(Value ids) {
    return norm(builder.create<nanocc::nano::EmbedOp>(loc, activation(config.width), ids, symbol("wte")));
  }

  /// Rope, then QK-norm, then the multiplier: upstream's order.
  Value position(Value x, int64_t heads) {
    x = builder.create<nanocc::nano::RopeOp>(loc, x.getType(), x, heads, APFloat(config.ropeBase),
                                             config.ropeTableBf16);
    x = norm(x, heads);
    if (config.qkMult != 1)
      x = builder.create<nanocc::nano::ScaleOp>(loc, x.getType(), x, APFloat(config.qkMult));
    return x;
  }

  Value attention(Value x, Value tokens, uint32_t i) {
    std::string h = "h." + std::to_string(i) + ".attn.";
    int64_t kv = int64_t(config.kvHeads) * config.headDim, width = int64_t(config.heads) * config.headDim;
    Value n = norm(x);
    Value q = linear(n, h + "c_q", width), k = linear(n, h + "c_k", kv), v = linear(n, h + "c_v", kv);
    if (config.gateChannels && config.valueEmbeds[i])
      v = builder.create<nanocc::nano::ValueGateOp>(loc, v.getType(), v, n, tokens,
                                                    symbol("value_embeds." + std::to_string(i)), symbol(h + "ve_gate"),
                                                    APFloat(config.gateRange));
    q = position(q, config.heads);
    k = position(k, config.kvHeads);
    Value o = builder.create<nanocc::nano::AttentionOp>(loc, q.getType(), q, k, v, symbol("kv." + std::to_string(i)));
    return add(x, linear(o, h + "c_proj", config.width));
  }

  Value mlp(Value x, uint32_t i) {
    std::string h = "h." + std::to_string(i) + ".mlp.";
    Value m = linear(norm(x), h + "c_fc", 4 * int64_t(config.width));
    m = builder.create<nanocc::nano::Relu2Op>(loc, m.getType(), m);
    return add(x, linear(m, h + "c_proj", config.width));
  }

  void forward() {
    auto ids = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic}, builder.getI32Type());
    auto function = builder.create<func::FuncOp>(
        loc, "forward", builder.getFunctionType({ids}, {Type(activation(config.vocab))}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    Value tokens = function.getArgument(0);

    Value x = embed(tokens);
    if (config.smear) {
      // The neighbour's normalised embedding depends on its id alone, so it needs no state besides that id.
      Value neighbour = embed(builder.create<nanocc::nano::PreviousOp>(loc, ids, tokens));
      x = builder.create<nanocc::nano::SmearOp>(loc, x.getType(), x, neighbour, symbol("smear_gate"),
                                                symbol("smear_lambda"));
    }
    Value x0 = x, mid;
    for (uint32_t i = 0; i < config.layers; ++i) {
      if (config.lambdas)
        x = builder.create<nanocc::nano::MixOp>(loc, x.getType(), x, x0, symbol("resid_lambdas"), symbol("x0_lambdas"),
                                                i);
      x = mlp(attention(x, tokens, i), i);
      if (i == config.layers / 2)
        mid = x;
    }
    if (config.backout)
      x = builder.create<nanocc::nano::BackoutOp>(loc, x.getType(), x, mid, symbol("backout_lambda"));
    Value z = linear(norm(x), "lm_head", config.paddedVocab);
    Value logits = builder.create<nanocc::nano::SoftcapOp>(
        loc, activation(config.vocab), z, config.softcap ? builder.getF32FloatAttr(config.softcap) : FloatAttr());
    builder.create<func::ReturnOp>(loc, logits);
  }

  const ModelConfig &config;
  OpBuilder builder;
  Location loc;
  OwningOpRef<ModuleOp> module;
};

} // namespace

std::string nanocc::emitModel(const ModelConfig &config) {
  DialectRegistry registry;
  registry.insert<nano::NanoDialect, func::FuncDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = Emitter(context, config).run();
  if (failed(verify(*module)))
    nanort::fail(nanort::Exit::Internal, "the emitted module does not verify: a bug in nanocc-import");
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  stream << '\n';
  return text;
}
