// The `nano` dialect: what a model computes.
#ifndef NANOCC_NANO_TD
#define NANOCC_NANO_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Nano_Dialect : Dialect {
  let name = "nano";
  let cppNamespace = "::nanocc::nano";
  let summary = "What a nanochat model computes: value semantics on tensors, one operation per term of its equations.";
  let description = [{
    A model is a builtin module that holds parameters (`nano.param`), key/value caches (`nano.cache`) and one function,
    `@forward`, from token ids to logits. Every generation of nanochat is a combination of the same operations and
    attributes; no operation knows a generation.

    Activations have shape `tensor<?x?xCxf32>` (batch, sequence, channels) in a model and `tensor<NxCxT>` (token slots,
    channels) in the entry points that `nano-fix-shapes` makes of it. A *token slot* holds one token of one row; rows of
    different lengths lie end to end. Operations other than `nano.previous`, `nano.attention` and `nano.last` treat each
    token by itself (trait `TokenWise`), so they don't care how tokens are laid out.

    The meaning is upstream's arithmetic in f32; `nano-choose-precision` decides what is stored in between.
    Source of all formulas: karpathy/nanochat, nanochat/gpt.py.

    Module attributes: `nano.model` (facts of the model), `nano.weights` and `nano.tokenizer` (file names), `nano.stage`
    and `nano.options` (set by nanocc; decisions taken so far).
  }];
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Module attributes of the dialect.
    static constexpr ::llvm::StringLiteral modelAttr = "nano.model";
    static constexpr ::llvm::StringLiteral weightsAttr = "nano.weights";
    static constexpr ::llvm::StringLiteral tokenizerAttr = "nano.tokenizer";
    static constexpr ::llvm::StringLiteral stageAttr = "nano.stage";
    static constexpr ::llvm::StringLiteral optionsAttr = "nano.options";
    /// Function attribute of an entry point: {kind, tokens, rows}.
    static constexpr ::llvm::StringLiteral entryAttr = "nano.entry";
    /// Argument and result attribute of an entry point: the binding's name.
    static constexpr ::llvm::StringLiteral bindingAttr = "nano.binding";
  }];
}

/// Token t of the result depends on token t of the operands alone.
def TokenWise : NativeOpTrait<"TokenWise"> { let cppNamespace = "::nanocc::nano"; }

def Nano_Tokens : RankedTensorOf<[I32]>;
def Nano_Words : RankedTensorOf<[UI32]>;
def Nano_Activation : RankedTensorOf<[F32, BF16]>;

class Nano_Op<string mnemonic, list<Trait> traits = []> : Op<Nano_Dialect, mnemonic, traits>;
class Nano_PureOp<string mnemonic, list<Trait> traits = []> : Nano_Op<mnemonic, !listconcat([Pure], traits)>;
class Nano_TokenOp<string mnemonic, list<Trait> traits = []> : Nano_PureOp<mnemonic, !listconcat([TokenWise], traits)>;
/// Reads parameters: their symbols are resolved and their shapes checked once the module is complete.
class Nano_ParamOp<string mnemonic, list<Trait> traits = []> :
    Nano_TokenOp<mnemonic, !listconcat([DeclareOpInterfaceMethods<SymbolUserOpInterface>], traits)>;

def Nano_ParamDeclOp : Nano_Op<"param", [Symbol]> {
  let summary = "a learned tensor";
  let description = [{
    Declares a tensor of the weights file under a symbol. The element type is what the importer writes; at load f32 and
    bf16 are both accepted. Linear weights have shape (out, in): y = x Wᵀ.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type, StrAttr:$tensor);
  let assemblyFormat = "$sym_name `:` $type `from` $tensor attr-dict";
  let hasVerifier = 1;
}

def Nano_CacheOp : Nano_Op<"cache", [Symbol]> {
  let summary = "the keys and values that one layer remembers";
  let description = [{
    `heads` key/value heads of `dim` channels. With `window` N a position sees N earlier positions and itself, so a layer
    keeps min(max_seq, N + 1) positions; without a window it sees and keeps all of them.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$heads, I64Attr:$dim, OptionalAttr<I64Attr>:$window);
  let assemblyFormat = "$sym_name `heads` $heads `dim` $dim (`window` $window^)? attr-dict";
  let hasVerifier = 1;
}

def Nano_PreviousOp : Nano_PureOp<"previous", [SameOperandsAndResultType]> {
  let summary = "the id before each token in its sequence; -1 before the first";
  let arguments = (ins Nano_Tokens:$tokens);
  let results = (outs Nano_Tokens:$result);
  let assemblyFormat = "$tokens attr-dict `:` type($result)";
}

def Nano_EmbedOp : Nano_ParamOp<"embed"> {
  let summary = "row of a table per token; zeros for id -1";
  let arguments = (ins Nano_Tokens:$tokens, FlatSymbolRefAttr:$table);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$tokens `,` $table attr-dict `:` type($tokens) `->` type($result)";
}

def Nano_RmsNormOp : Nano_TokenOp<"rms_norm", [SameOperandsAndResultType]> {
  let summary = "x · rsqrt(mean(x²) + 2⁻²³) over each of `groups` equal parts of the channels";
  let description = [{
    No weight. Epsilon is what PyTorch resolves `eps=None` to: the epsilon of f32, also for bf16 input. `groups` is the
    number of heads for QK-norm, 1 otherwise.
  }];
  let arguments = (ins Nano_Activation:$x, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x (`groups` $groups^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nano_SmearOp : Nano_ParamOp<"smear", [AllTypesMatch<["u", "prev", "result"]>]> {
  let summary = "u + λ · σ(u[0:c] · gate) · prev";
  let description = [{
    Adds a gated part of the previous token's normalised embedding; the gate reads the first c channels of the current
    token. `prev` is zero at position 0, which leaves u. gate has shape (1, c), lambda (1).
  }];
  let arguments = (ins Nano_Activation:$u, Nano_Activation:$prev, FlatSymbolRefAttr:$gate, FlatSymbolRefAttr:$lambda);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$u `,` $prev `gate` $gate `lambda` $lambda attr-dict `:` type($result)";
}

def Nano_LinearOp : Nano_ParamOp<"linear"> {
  let summary = "x Wᵀ, no bias";
  let arguments = (ins Nano_Activation:$x, FlatSymbolRefAttr:$weight);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` type($x) `->` type($result)";
}

def Nano_RopeOp : Nano_TokenOp<"rope", [SameOperandsAndResultType]> {
  let summary = "rotary embedding by the token's position";
  let description = [{
    Per head, with halves a, b of its channels and angle t · base^(-2i/D): [a·cos + b·sin, −a·sin + b·cos]. This turns by −θ
    and splits in halves; it does not interleave. `bf16_table` rounds cos and sin to bf16 whatever the precision
    (generations A–C); otherwise they have the compute type.
  }];
  let arguments = (ins Nano_Activation:$x, I64Attr:$heads, F64Attr:$base, UnitAttr:$bf16_table);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `heads` $heads `base` $base (`bf16_table` $bf16_table^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Nano_ScaleOp : Nano_TokenOp<"scale", [SameOperandsAndResultType]> {
  let summary = "factor · x (the q, k multiplier after QK-norm)";
  let arguments = (ins Nano_Activation:$x, F32Attr:$factor);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `by` $factor attr-dict `:` type($result)";
}

def Nano_ValueGateOp : Nano_ParamOp<"value_gate", [AllTypesMatch<["v", "result"]>]> {
  let summary = "v + range · σ(h[0:c] · gate_g) · table[token], per key/value head g";
  let description = [{
    The value embedding: a second table, read by token id and reshaped to (kv heads, D), enters the values through a
    sigmoid gate per head that reads the first c channels of the normalised block input h. gate has shape (kv heads, c).
  }];
  let arguments = (ins Nano_Activation:$v, Nano_Activation:$h, Nano_Tokens:$tokens, FlatSymbolRefAttr:$table,
                       FlatSymbolRefAttr:$gate, F32Attr:$range);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = [{$v `,` $h `,` $tokens `table` $table `gate` $gate `range` $range attr-dict `:`
                         type($v) `,` type($h) `,` type($tokens)}];
}

def Nano_AttentionOp : Nano_PureOp<"attention", [DeclareOpInterfaceMethods<SymbolUserOpInterface>, AllTypesMatch<["q", "result"]>]> {
  let summary = "causal attention of each token over its row, scale 1/√D";
  let description = [{
    A token at position p sees positions p − N … p of its row, N the cache's window. Query head h reads key/value head
    h / (heads / kv heads). Keys and values enter the cache as they are here: after rope, norm, multiplier and gate.
  }];
  let arguments = (ins Nano_Activation:$q, Nano_Activation:$k, Nano_Activation:$v, FlatSymbolRefAttr:$cache);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$q `,` $k `,` $v `cache` $cache attr-dict `:` type($q) `,` type($k) `,` type($v)";
}

def Nano_AddOp : Nano_TokenOp<"add", [SameOperandsAndResultType]> {
  let summary = "a + b (residual)";
  let arguments = (ins Nano_Activation:$a, Nano_Activation:$b);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($result)";
}

def Nano_Relu2Op : Nano_TokenOp<"relu2", [SameOperandsAndResultType]> {
  let summary = "max(x, 0)²";
  let arguments = (ins Nano_Activation:$x);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Nano_MixOp : Nano_ParamOp<"mix", [AllTypesMatch<["x", "x0", "result"]>]> {
  let summary = "resid[i] · x + skip[i] · x0";
  let description = "Residual stream and (smeared) embedding, weighted by the lambdas of layer i, before each block.";
  let arguments = (ins Nano_Activation:$x, Nano_Activation:$x0, FlatSymbolRefAttr:$resid, FlatSymbolRefAttr:$skip,
                       I64Attr:$layer);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `,` $x0 `resid` $resid `skip` $skip `layer` $layer attr-dict `:` type($result)";
}

def Nano_BackoutOp : Nano_ParamOp<"backout", [AllTypesMatch<["x", "mid", "result"]>]> {
  let summary = "x − λ · mid";
  let description = "Takes part of the stream after block L/2 out again before the head. lambda has shape (1).";
  let arguments = (ins Nano_Activation:$x, Nano_Activation:$mid, FlatSymbolRefAttr:$lambda);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `,` $mid `lambda` $lambda attr-dict `:` type($result)";
}

def Nano_SoftcapOp : Nano_TokenOp<"softcap"> {
  let summary = "cap · tanh(z / cap) of the first V columns";
  let description = "Drops the columns that pad the vocabulary. Without `cap` it only drops them.";
  let arguments = (ins Nano_Activation:$z, OptionalAttr<F32Attr>:$cap);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$z (`cap` $cap^)? attr-dict `:` type($z) `->` type($result)";
  let hasVerifier = 1;
}

def Nano_LastOp : Nano_PureOp<"last"> {
  let summary = "the token slots named by an index per row; zeros for index -1";
  let description = [{
    Selects what prefill needs of a chunk: the last prompt token of every row whose prompt ends in it.
    `nano-select-last` moves it towards the inputs, through operations that treat each token by itself.
  }];
  let arguments = (ins Nano_Activation:$x, Nano_Tokens:$index);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$x `,` $index attr-dict `:` type($x) `,` type($index) `->` type($result)";
  let hasVerifier = 1;
}

def Nano_SampleOp : Nano_PureOp<"sample", [AllTypesMatch<["index", "steps", "result"]>]> {
  let summary = "the next token of each row";
  let description = [{
    Greedy at temperature 0, by z before the softcap (which could only create ties), ties to the lowest id; otherwise one
    draw from softmax(softcap(z) / temperature) over the `top_k` largest. `sampling` holds the parameters (see the kernel
    kernel `sample`); `steps` counts the tokens each row has generated, which keys the counter-based generator. A row with
    index -1 yields -1. Only the first `vocab` columns count.
  }];
  let arguments = (ins Nano_Activation:$z, Nano_Tokens:$index, Nano_Tokens:$steps, Nano_Words:$sampling,
                       OptionalAttr<F32Attr>:$cap, I64Attr:$vocab);
  let results = (outs Nano_Tokens:$result);
  let assemblyFormat = [{$z `,` $index `,` $steps `,` $sampling `vocab` $vocab (`cap` $cap^)? attr-dict `:`
                         type($z) `,` type($index) `,` type($sampling)}];
}

def Nano_NllOp : Nano_TokenOp<"nll"> {
  let summary = "negative log-likelihood of each slot's target, in nats; 0 for target -1";
  let arguments = (ins Nano_Activation:$logits, Nano_Tokens:$targets);
  let results = (outs Nano_Activation:$result);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` type($logits) `,` type($targets) `->` type($result)";
}

#endif // NANOCC_NANO_TD
