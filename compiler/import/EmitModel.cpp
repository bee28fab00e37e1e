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
      nanocc::nano::ParamDeclOp::create(builder, loc, symbolOf(parameter.name), RankedTensorType::get(shape, element),
                                        parameter.name);
    }
    for (uint32_t i = 0; i < config.layers; ++i)
      nanocc::nano::CacheOp::create(builder, loc, "kv." + std::to_string(i), config.kvHeads, config.headDim,
                                    config.windows[i] ? builder.getI64IntegerAttr(config.windows[i]) : IntegerAttr());
  }

  RankedTensorType activation(int64_t channels) {
    return RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic, channels}, builder.getF32Type());
  }
  FlatSymbolRefAttr symbol(const std::string &name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }

  Value norm(Value x, int64_t groups = 1) {
    return nanocc::nano::RmsNormOp::create(builder, loc, x.getType(), x, groups);
  }
  Value linear(Value x, const std::string &weight, int64_t channels) {
    return nanocc::nano::LinearOp::create(builder, loc, activation(channels), x, symbol(weight));
  }
  Value add(Value a, Value b) { return nanocc::nano::AddOp::create(builder, loc, a.getType(), a, b); }
  Value embed(Value ids) {
    return norm(nanocc::nano::EmbedOp::create(builder, loc, activation(config.width), ids, symbol("wte")));
  }

  /// Rope, then QK-norm, then the multiplier: upstream's order.
  Value position(Value x, int64_t heads) {
    x = nanocc::nano::RopeOp::create(builder, loc, x.getType(), x, heads, APFloat(config.ropeBase),
                                     config.ropeTableBf16);
    x = norm(x, heads);
    if (config.qkMult != 1)
      x = nanocc::nano::ScaleOp::create(builder, loc, x.getType(), x, APFloat(config.qkMult));
    return x;
  }

  Value attention(Value x, Value tokens, uint32_t i) {
    std::string h = "h." + std::to_string(i) + ".attn.";
    int64_t kv = int64_t(config.kvHeads) * config.headDim, width = int64_t(config.heads) * config.headDim;
    Value n = norm(x);
    Value q = linear(n, h + "c_q", width), k = linear(n, h + "c_k", kv), v = linear(n, h + "c_v", kv);
    if (config.gateChannels && config.valueEmbeds[i])
      v = nanocc::nano::ValueGateOp::create(builder, loc, v.getType(), v, n, tokens,
                                            symbol("value_embeds." + std::to_string(i)), symbol(h + "ve_gate"),
                                            builder.getF32FloatAttr(config.gateRange));
    q = position(q, config.heads);
    k = position(k, config.kvHeads);
    Value o = nanocc::nano::AttentionOp::create(builder, loc, q.getType(), q, k, v, symbol("kv." + std::to_string(i)));
    return add(x, linear(o, h + "c_proj", config.width));
  }

  Value mlp(Value x, uint32_t i) {
    std::string h = "h." + std::to_string(i) + ".mlp.";
    Value m = linear(norm(x), h + "c_fc", 4 * int64_t(config.width));
    m = nanocc::nano::Relu2Op::create(builder, loc, m.getType(), m);
    return add(x, linear(m, h + "c_proj", config.width));
  }

  void forward() {
    auto ids = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic}, builder.getI32Type());
    auto function =
        func::FuncOp::create(builder, loc, "forward", builder.getFunctionType({ids}, {Type(activation(config.vocab))}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    Value tokens = function.getArgument(0);

    Value x = embed(tokens);
    if (config.smear) {
      // The neighbour's normalised embedding depends on its id alone, so it needs no state besides that id.
      Value neighbour = embed(nanocc::nano::PreviousOp::create(builder, loc, ids, tokens));
      x = nanocc::nano::SmearOp::create(builder, loc, x.getType(), x, neighbour, symbol("smear_gate"),
                                        symbol("smear_lambda"));
    }
    Value x0 = x, mid;
    for (uint32_t i = 0; i < config.layers; ++i) {
      if (config.lambdas)
        x = nanocc::nano::MixOp::create(builder, loc, x.getType(), x, x0, symbol("resid_lambdas"), symbol("x0_lambdas"),
                                        builder.getI64IntegerAttr(i));
      x = mlp(attention(x, tokens, i), i);
      if (i == config.layers / 2)
        mid = x;
    }
    if (config.backout)
      x = nanocc::nano::BackoutOp::create(builder, loc, x.getType(), x, mid, symbol("backout_lambda"));
    Value z = linear(norm(x), "lm_head", config.paddedVocab);
    Value logits =
        nanocc::nano::SoftcapOp::create(builder, loc, activation(config.vocab), z,
                                        config.softcap ? builder.getF32FloatAttr(config.softcap) : FloatAttr());
    func::ReturnOp::create(builder, loc, logits);
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
