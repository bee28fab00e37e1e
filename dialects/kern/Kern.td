// The `kern` dialect: how a program computes it, one operation per device launch.
#ifndef NANOCC_KERN_TD
#define NANOCC_KERN_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kern_Dialect : Dialect {
  let name = "kern";
  let cppNamespace = "::nanocc::kern";
  let summary = "How a program computes a model: one operation per device launch.";
  let description = [{
    A `kern.program` holds, for one target, the constants with their dtypes, the key/value rings, and one function per entry
    point. Inside, every operation with the interface `KernelOp` is exactly one launch: it has a meaning of
    kernels_templates/, and its types and attributes give the meaning's parameters. Which engine computes it, and how that
    spreads the work, is the attribute `choice` of the operations that several engines serve. Activations are SSA tensors
    of shape (token slots, channels); constants and rings are handles got by `kern.ref`. There are no addresses and no
    order besides data flow and the effects on rings.

    Lowering from `nano` is one to one. Every fusion is a pass from `kern` to `kern` that merges neighbours, so "eager versus
    fused" is a count of the same operations before and after.
  }];
  let useDefaultTypePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// What an entry was before any fusion: {launches, bytes, flops}.
    static constexpr ::llvm::StringLiteral eagerAttr = "kern.eager";
  }];
}

def Kern_KvType : TypeDef<Kern_Dialect, "Kv"> {
  let mnemonic = "kv";
  let summary = "a ring of keys and values, (rows, 2, heads, positions, dim)";
  let description = [{
    For each row, first the keys, then the values; head-major, so that one head's positions are contiguous. Position p is
    at slot p mod `positions`.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$heads, "int64_t":$positions, "int64_t":$dim, "::mlir::Type":$element);
  let assemblyFormat = "`<` `rows` $rows `,` `heads` $heads `,` `positions` $positions `,` `dim` $dim `,` $element `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// (rows, 2, heads, positions, dim)
    ::llvm::SmallVector<int64_t> getShape() const {
      return {getRows(), 2, getHeads(), getPositions(), getDim()};
    }
  }];
}

def Kern_KernelOpInterface : OpInterface<"KernelOp"> {
  let cppNamespace = "::nanocc::kern";
  let description = "One device launch.";
  let methods = [
    InterfaceMethod<"Meaning, buffers, parameters and scalars, by their names.",
      "::nanocc::kern::KernelCall", "getKernelCall">,
    InterfaceMethod<[{
        The engine and its parameters, {engine = "mma", tile_m = 64, tile_n = 64} for example, as `kern-choose-templates`
        decides; null before, and where a meaning has one engine. Engine "cublaslt" is the library: {engine = "cublaslt"},
        or with `version` = "13.1.0" and `algorithm`, as that version's heuristic ranks it, from 0.}],
      "::mlir::DictionaryAttr", "getEngineChoice", (ins), "",
      [{ return $_op->template getAttrOfType<::mlir::DictionaryAttr>("choice"); }]>
  ];
}

class Kern_Op<string mnemonic, list<Trait> traits = []> : Op<Kern_Dialect, mnemonic, traits>;
class Kern_LaunchOp<string mnemonic, list<Trait> traits = []> :
    Kern_Op<mnemonic, !listconcat([DeclareOpInterfaceMethods<Kern_KernelOpInterface>], traits)>;
class Kern_PureLaunchOp<string mnemonic, list<Trait> traits = []> :
    Kern_LaunchOp<mnemonic, !listconcat([Pure], traits)>;

def Kern_Float : RankedTensorOf<[F32, BF16]>;
def Kern_F32 : RankedTensorOf<[F32]>;
def Kern_Weight : RankedTensorOf<[F32, BF16, F8E4M3FN]>;
def Kern_Ids : RankedTensorOf<[I32]>;
def Kern_Words : RankedTensorOf<[UI32]>;

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

def Kern_ProgramOp : Kern_Op<"program", [Symbol, SymbolTable, IsolatedFromAbove, SingleBlock, NoTerminator,
                                        NoRegionArguments]> {
  let summary = "everything one target needs";
  let description = "The symbol is the target: `cpu` or an architecture such as `sm_90a`.";
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$precision);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `precision` $precision attr-dict-with-keyword $body";
}

def Kern_WeightOp : Kern_Op<"weight", [Symbol]> {
  let summary = "parameters as this program keeps them";
  let description = [{
    Several parameters are one matrix, the rows of one below those of another. A matrix of f8E4M3FN is what is left of its
    rows over their scales, which are its second part, one f32 a row.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypedArrayAttrBase<FlatSymbolRefAttr, "parameters">:$params,
                       TypeAttrOf<AnyStaticShapeTensor>:$type);
  let assemblyFormat = "$sym_name `:` $type `cast` custom<Symbols>($params) attr-dict";
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FlatSymbolRefAttr":$param,
                                 "::mlir::RankedTensorType":$type), [{
    build($_builder, $_state, name, $_builder.getArrayAttr(param), type);
  }]>];
  let extraClassDeclaration = [{
    /// Of its parts: the values, then the scales if it has any.
    ::llvm::SmallVector<::mlir::RankedTensorType> getPartTypes();
    /// Handles of its parts.
    ::llvm::SmallVector<::mlir::Value> refer(::mlir::OpBuilder &builder, ::mlir::Location loc);
  }];
}

def Kern_RopeTableOp : Kern_Op<"rope_table", [Symbol]> {
  let summary = "cos and sin of every position";
  let description = "Shape (positions, head size): first half cos, second half sin of position · base^(-2i/D).";
  let arguments = (ins SymbolNameAttr:$sym_name, F64Attr:$base, TypeAttrOf<AnyStaticShapeTensor>:$type);
  let assemblyFormat = "$sym_name `:` $type `base` $base attr-dict";
}

def Kern_CacheOp : Kern_Op<"cache", [Symbol]> {
  let summary = "the key/value ring of one layer";
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Kern_KvType>:$type);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
}

def Kern_CountersOp : Kern_Op<"counters", [Symbol]> {
  let summary = "zeros in the session's state that every launch leaves zero";
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Kern_Words>:$type);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
}

def Kern_RefOp : Kern_Op<"ref", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "handle of a constant, of a ring or of counters of the program; not a launch";
  let description = "`part` is the second and later parts of a weight.";
  let arguments = (ins FlatSymbolRefAttr:$symbol, DefaultValuedAttr<ConfinedAttr<I64Attr, [IntNonNegative]>, "0">:$part);
  let results = (outs AnyTypeOf<[AnyStaticShapeTensor, Kern_KvType]>:$result);
  let assemblyFormat = "$symbol (`part` $part^)? attr-dict `:` type($result)";
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::FlatSymbolRefAttr":$symbol), [{
    build($_builder, $_state, type, symbol, 0);
  }]>];
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

def Kern_EmbedOp : Kern_PureLaunchOp<"embed", [AttrSizedOperandSegments]> {
  let summary = "rows of a table, normed, smeared and mixed";
  let description = [{
    u = table[tokens], zeros for -1. `norm`: u is RMS-normed. `smear`: u + λ · σ(u[0:c] · gate) · p with p likewise of
    `prev`. `mix`: the result is resid[layer] · u + skip[layer] · u, the first mix, in which the residual is still x0; u
    itself is the first result then.
  }];
  let arguments = (ins Kern_Ids:$tokens, Kern_Float:$table, UnitAttr:$norm, Optional<Kern_Ids>:$prev,
                       Optional<Kern_Float>:$gate, Optional<Kern_F32>:$lambda, Optional<Kern_F32>:$resid,
                       Optional<Kern_F32>:$skip, OptionalAttr<I64Attr>:$layer);
  let results = (outs Optional<Kern_Float>:$x0, Kern_Float:$result);
  let assemblyFormat = [{$tokens `,` $table (`norm` $norm^)? (`smear` $prev^ `gate` $gate `lambda` $lambda)?
                         (`mix` `resid` $resid^ `skip` $skip `layer` $layer)? attr-dict `:`
                         functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Kern_RmsNormOp : Kern_PureLaunchOp<"rms_norm", [SameOperandsAndResultType]> {
  let summary = "x · rsqrt(mean(x²) + 2⁻²³) over groups of `width` channels";
  let arguments = (ins Kern_Float:$x, I64Attr:$width);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `width` $width attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Kern_SmearOp : Kern_PureLaunchOp<"smear", [AllTypesMatch<["u", "prev", "result"]>]> {
  let summary = "u + λ · σ(u[0:c] · gate) · prev";
  let arguments = (ins Kern_Float:$u, Kern_Float:$prev, Kern_Float:$gate, Kern_F32:$lambda);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$u `,` $prev `gate` $gate `lambda` $lambda attr-dict `:` functional-type(operands, results)";
}

def Kern_ProductOp : Kern_PureLaunchOp<"product", [AttrSizedOperandSegments]> {
  let summary = "epilogue(s · x Wᵀ)";
  let description = [{
    s is rsqrt(mean(x²) + 2⁻²³) of the slot with `norm`, else 1. W's rows are those of the weight, each times its own of
    `scaled`, the second part of a weight that has scales. Of p = s · x Wᵀ the epilogue makes, by what is given:
    nothing: p; `relu2`: max(p, 0)²; `plus` r: r + p; `plus` r `mix` x0: resid[layer] · (r + p) + skip[layer] · x0, and
    r + p is the first result if there are two, for a sum that something else reads too (the backout does that of the
    middle layer); `plus` r `without` mid: r + p − λ · mid.

    `considered` lists for the report what `kern-choose-templates` weighed, the winner first.
  }];
  let arguments = (ins Kern_Float:$x, Kern_Weight:$weight, Optional<Kern_F32>:$scales, UnitAttr:$norm, UnitAttr:$relu2,
                       Optional<Kern_Float>:$r,
                       Optional<Kern_Float>:$x0, Optional<Kern_F32>:$resid, Optional<Kern_F32>:$skip,
                       OptionalAttr<I64Attr>:$layer, Optional<Kern_Float>:$mid, Optional<Kern_F32>:$lambda,
                       OptionalAttr<DictionaryAttr>:$choice, OptionalAttr<StrArrayAttr>:$considered);
  let results = (outs Optional<Kern_Float>:$sum, Kern_Float:$result);
  let assemblyFormat = [{$x `,` $weight (`scaled` $scales^)? (`norm` $norm^)? (`relu2` $relu2^)? (`plus` $r^)?
                         (`mix` $x0^ `resid` $resid `skip` $skip `layer` $layer)? (`without` $mid^ `lambda` $lambda)?
                         (`by` $choice^)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$x, "::mlir::ArrayRef<::mlir::Value>":$weight), [{
    build($_builder, $_state, ::mlir::TypeRange(type), x, weight[0], weight.size() > 1 ? weight[1] : ::mlir::Value(), false, false, ::mlir::Value(), ::mlir::Value(),
          ::mlir::Value(), ::mlir::Value(), ::mlir::IntegerAttr(), ::mlir::Value(), ::mlir::Value(),
          ::mlir::DictionaryAttr(), ::mlir::ArrayAttr());
  }]>];
  let extraClassDeclaration = [{
    /// Whether nothing becomes of the sums but a norm's scale.
    bool isPlain() { return !getRelu2() && !getR() && !getX0() && !getMid(); }
    bool usesLibrary();
  }];
}

def Kern_RopeOp : Kern_PureLaunchOp<"rope", [AllTypesMatch<["x", "result"]>]> {
  let summary = "rotary embedding of each head";
  let arguments = (ins Kern_Float:$x, Kern_Float:$table, Kern_Ids:$positions);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `,` $table `,` $positions attr-dict `:` functional-type(operands, results)";
}

def Kern_ScaleOp : Kern_PureLaunchOp<"scale", [SameOperandsAndResultType]> {
  let summary = "factor · x";
  let arguments = (ins Kern_Float:$x, F32Attr:$factor);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `by` $factor attr-dict `:` type($result)";
}

def Kern_ValueGateOp : Kern_PureLaunchOp<"value_gate", [AllTypesMatch<["v", "result"]>]> {
  let summary = "v + range · σ(h[0:c] · gate_g) · table[token]";
  let arguments = (ins Kern_Float:$v, Kern_Float:$h, Kern_Ids:$tokens, Kern_Float:$table, Kern_Float:$gate, F32Attr:$range);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = [{$v `,` $h `,` $tokens `table` $table `gate` $gate `range` $range attr-dict `:`
                         functional-type(operands, results)}];
}

def Kern_PrepareQkvOp : Kern_PureLaunchOp<"prepare_qkv", [AttrSizedOperandSegments]> {
  let summary = "q, k and v for attention from what one product makes: q and k rotated, normed by head and scaled";
  let description = "`gate`: v + range · σ(rms_norm(x)[0:c] · gate) · embeds[token].";
  let arguments = (ins Kern_Float:$qkv, Kern_Float:$table, Kern_Ids:$positions, Optional<Kern_Float>:$x,
                       Optional<Kern_Ids>:$tokens, Optional<Kern_Float>:$embeds, Optional<Kern_Float>:$gate,
                       F32Attr:$mult, OptionalAttr<F32Attr>:$range);
  let results = (outs Kern_Float:$q, Kern_Float:$k, Kern_Float:$v);
  let assemblyFormat = [{$qkv `table` $table `at` $positions (`gate` $gate^ `of` $x `embeds` $embeds `of` $tokens
                         `range` $range)? `mult` $mult attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Kern_AttentionOp : Kern_LaunchOp<"attention", [AllTypesMatch<["q", "result"]>]> {
  let summary = "causal attention over the chunk and the ring";
  let description = [{
    Keys of this chunk come from k and v, older ones from the ring, which `kern.kv_write` updates afterwards: with rings of
    window + 1 positions a chunk's own tokens would otherwise overwrite keys that its first tokens still need.
    `window` is the number of earlier positions seen. `considered` is as for `kern.product`. Blocks of the engine wgmma
    draw their work by ticket: it needs one of `counters`.
  }];
  let arguments = (ins Kern_Float:$q, Kern_Float:$k, Kern_Float:$v, Arg<Kern_KvType, "", [MemRead]>:$kv,
                       Kern_Ids:$rows, Kern_Ids:$positions, Kern_Ids:$starts,
                       Arg<Optional<Kern_Words>, "", [MemRead, MemWrite]>:$counters, I64Attr:$window,
                       OptionalAttr<DictionaryAttr>:$choice, OptionalAttr<StrArrayAttr>:$considered);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = [{$q `,` $k `,` $v `kv` $kv `at` $rows `,` $positions `,` $starts (`counters` $counters^)?
                         `window` $window (`by` $choice^)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Kern_AttentionStepOp : Kern_LaunchOp<"attention_step", [AttrSizedOperandSegments]> {
  let summary = "one token's attention from q, k and v as the product makes them";
  let description = [{
    Rotates, norms and scales q and k, puts k and v into the ring and attends to `window` earlier positions. `gate` is as
    for `kern.prepare_qkv`, `considered` as for `kern.product`. Blocks of the engine spread count themselves in
    `counters`, one of each row and head, and its partial results are scratch.
  }];
  let arguments = (ins Kern_Float:$qkv, Kern_Float:$table, Kern_Ids:$rows, Kern_Ids:$positions,
                       Arg<Kern_KvType, "", [MemRead, MemWrite]>:$kv, Optional<Kern_Float>:$x, Optional<Kern_Ids>:$tokens,
                       Optional<Kern_Float>:$embeds, Optional<Kern_Float>:$gate,
                       Arg<Optional<Kern_Words>, "", [MemRead, MemWrite]>:$counters, F32Attr:$mult, I64Attr:$window,
                       OptionalAttr<F32Attr>:$range, OptionalAttr<DictionaryAttr>:$choice,
                       OptionalAttr<StrArrayAttr>:$considered);
  let results = (outs Optional<Kern_F32>:$partials, Kern_Float:$result);
  let assemblyFormat = [{$qkv `table` $table `kv` $kv `at` $rows `,` $positions (`gate` $gate^ `of` $x `embeds` $embeds
                         `of` $tokens `range` $range)? (`counters` $counters^)? `mult` $mult `window` $window
                         (`by` $choice^)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Kern_KvWriteOp : Kern_LaunchOp<"kv_write", [AllTypesMatch<["k", "v"]>]> {
  let summary = "puts a chunk's newest keys and values into the ring";
  let arguments = (ins Kern_Float:$k, Kern_Float:$v, Kern_Ids:$rows, Kern_Ids:$positions, Kern_Ids:$ends,
                       Arg<Kern_KvType, "", [MemWrite]>:$kv);
  let results = (outs);
  let assemblyFormat = "$k `,` $v `at` $rows `,` $positions `,` $ends `into` $kv attr-dict `:` type($k) `,` type($rows) `,` type($positions) `,` type($ends) `,` type($kv)";
}

def Kern_AddOp : Kern_PureLaunchOp<"add", [SameOperandsAndResultType]> {
  let summary = "a + b";
  let arguments = (ins Kern_Float:$a, Kern_Float:$b);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($result)";
}

def Kern_Relu2Op : Kern_PureLaunchOp<"relu2", [SameOperandsAndResultType]> {
  let summary = "max(x, 0)²";
  let arguments = (ins Kern_Float:$x);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Kern_MixOp : Kern_PureLaunchOp<"mix", [AllTypesMatch<["x", "x0", "result"]>]> {
  let summary = "resid[layer] · x + skip[layer] · x0";
  let arguments = (ins Kern_Float:$x, Kern_Float:$x0, Kern_F32:$resid, Kern_F32:$skip, I64Attr:$layer);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `,` $x0 `resid` $resid `skip` $skip `layer` $layer attr-dict `:` functional-type(operands, results)";
}

def Kern_BackoutOp : Kern_PureLaunchOp<"backout", [AllTypesMatch<["x", "mid", "result"]>]> {
  let summary = "x − λ · mid";
  let arguments = (ins Kern_Float:$x, Kern_Float:$mid, Kern_F32:$lambda);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `,` $mid `lambda` $lambda attr-dict `:` functional-type(operands, results)";
}

def Kern_LastOp : Kern_PureLaunchOp<"last"> {
  let summary = "the slots named by an index per row; zeros for index -1";
  let arguments = (ins Kern_Float:$x, Kern_Ids:$index);
  let results = (outs Kern_Float:$result);
  let assemblyFormat = "$x `,` $index attr-dict `:` functional-type(operands, results)";
}

def Kern_SoftcapOp : Kern_PureLaunchOp<"softcap"> {
  let summary = "cap · tanh(z / cap) of the first V columns; cap 0 copies";
  let arguments = (ins Kern_F32:$z, F32Attr:$cap);
  let results = (outs Kern_F32:$result);
  let assemblyFormat = "$z `cap` $cap attr-dict `:` functional-type(operands, results)";
}

def Kern_SampleOp : Kern_LaunchOp<"sample"> {
  let summary = "the next token of each row; -1 where the index is -1";
  let description = "Several blocks share a row: they count themselves in `counters`, their partial results are scratch.";
  let arguments = (ins Kern_F32:$z, Kern_Ids:$index, Kern_Ids:$steps, Kern_Words:$sampling,
                       Arg<Kern_Words, "", [MemRead, MemWrite]>:$counters, F32Attr:$cap, I64Attr:$vocab);
  let results = (outs Kern_F32:$partials, Kern_Ids:$result);
  let assemblyFormat = [{$z `,` $index `,` $steps `,` $sampling `counters` $counters `vocab` $vocab `cap` $cap attr-dict `:`
                         functional-type(operands, results)}];
}

def Kern_NllOp : Kern_PureLaunchOp<"nll"> {
  let summary = "negative log-likelihood of the targets";
  let arguments = (ins Kern_F32:$logits, Kern_Ids:$targets);
  let results = (outs Kern_F32:$result);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` functional-type(operands, results)";
}

#endif // NANOCC_KERN_TD
