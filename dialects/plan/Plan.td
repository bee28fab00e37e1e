// The `plan` dialect: where everything lies and when it runs.
#ifndef NANOCC_PLAN_TD
#define NANOCC_PLAN_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::nanocc::plan";
  let summary = "Where everything lies and when it runs: plan.fb as IR.";
  let description = [{
    Mirrors runtime/schema/plan.fbs table for table, so that writing the file is dull and a file reads back into this
    dialect. A `plan.program` holds buffers (a range of one of six spaces), constants with the recipe that makes their
    parts, rings of keys and values, kernels (source, and machine code where NVRTC was there) and entry points: launches with their arguments, shapes and
    the earlier launches they must wait for.
  }];
  let useDefaultAttributePrinterParser = 1;
}

def Plan_Space : I32EnumAttr<"Space", "one allocation each at run time", [
    I32EnumAttrCase<"Constant", 0, "constant">, I32EnumAttrCase<"Kv", 1, "kv">, I32EnumAttrCase<"State", 2, "state">,
    I32EnumAttrCase<"Arena", 3, "arena">, I32EnumAttrCase<"Workspace", 4, "workspace">,
    I32EnumAttrCase<"Mapped", 5, "mapped">]> {
  let cppNamespace = "::nanocc::plan";
}

def Plan_EntryKind : I32EnumAttr<"EntryKind", "what an entry point does", [
    I32EnumAttrCase<"Prefill", 0, "prefill">, I32EnumAttrCase<"Decode", 1, "decode">,
    I32EnumAttrCase<"Score", 2, "score">, I32EnumAttrCase<"Generate", 3, "generate">]> {
  let cppNamespace = "::nanocc::plan";
}

class Plan_Attr<string name, string asm> : AttrDef<Plan_Dialect, name> { let mnemonic = asm; }

def Plan_Format : I32EnumAttr<"Format", "what quantized values are stored as", [I32EnumAttrCase<"E4M3", 0, "e4m3">]> {
  let cppNamespace = "::nanocc::plan";
}

//===----------------------------------------------------------------------===//
// Steps of a recipe. Tensors are counted: the constant's sources, then what each step makes.
//===----------------------------------------------------------------------===//

class Plan_StepAttr<string name, string asm> : Plan_Attr<name, asm> { let genVerifyDecl = 1; }

def Plan_RopeStepAttr : Plan_StepAttr<"RopeStep", "rope"> {
  let summary = "rotary table (positions, head size): cos, then sin, of position · base^(-2i/D), in f32";
  let parameters = (ins "::mlir::FloatAttr":$base, "int64_t":$positions, "int64_t":$head_size);
  let assemblyFormat = "`<` $base `positions` $positions `head_size` $head_size `>`";
}

def Plan_CastStepAttr : Plan_StepAttr<"CastStep", "cast"> {
  let summary = "element-wise conversion to f32 or bf16, to nearest, ties to even";
  let parameters = (ins "int64_t":$tensor, "::mlir::Type":$type);
  let assemblyFormat = "`<` $tensor `to` $type `>`";
}

def Plan_ConcatenateStepAttr : Plan_StepAttr<"ConcatenateStep", "concatenate"> {
  let summary = "tensors one behind the other along an axis";
  let parameters = (ins ArrayRefParameter<"int64_t">:$tensors, "int64_t":$axis);
  let assemblyFormat = "`<` `[` $tensors `]` `axis` $axis `>`";
}

def Plan_SliceStepAttr : Plan_StepAttr<"SliceStep", "slice"> {
  let summary = "indices [begin, end) of an axis";
  let parameters = (ins "int64_t":$tensor, "int64_t":$axis, "int64_t":$begin, "int64_t":$end);
  let assemblyFormat = "`<` $tensor `axis` $axis `from` $begin `to` $end `>`";
}

def Plan_QuantizeStepAttr : Plan_StepAttr<"QuantizeStep", "quantize"> {
  let summary = "two tensors: values in a format, and f32 scales, one for `group` elements along an axis (0: for all)";
  let description = "An element is value · scale; plan.fbs says how both are found.";
  let parameters = (ins "int64_t":$tensor, EnumParameter<Plan_Format>:$format, "int64_t":$axis, "int64_t":$group);
  let assemblyFormat = "`<` $tensor `to` $format `axis` $axis `group` $group `>`";
}

def Plan_PermuteStepAttr : Plan_StepAttr<"PermuteStep", "permute"> {
  let summary = "layout: the tensor as of shape `view` (absent: its own), extent i of the result that of order[i]";
  let parameters = (ins "int64_t":$tensor, OptionalArrayRefParameter<"int64_t">:$view,
                        ArrayRefParameter<"int64_t">:$order);
  let assemblyFormat = "`<` $tensor (`view` `[` $view^ `]`)? `order` `[` $order `]` `>`";
}

def Plan_PadStepAttr : Plan_StepAttr<"PadStep", "pad"> {
  let summary = "layout: zeros before and after the indices of an axis";
  let parameters = (ins "int64_t":$tensor, "int64_t":$axis, "int64_t":$before, "int64_t":$after);
  let assemblyFormat = "`<` $tensor `axis` $axis `by` $before `and` $after `>`";
}

//===----------------------------------------------------------------------===//

def Plan_ConditionAttr : Plan_Attr<"Condition", "condition"> {
  let summary = "argument: the handle of the generate entry's loop of this index, with which a kernel ends it";
  let parameters = (ins "int64_t":$loop);
  let assemblyFormat = "`<` $loop `>`";
}

def Plan_TensorMapAttr : Plan_Attr<"TensorMap", "tensor_map"> {
  let summary = "how the copy engine cuts the buffer of argument `arg` into boxes";
  let description = [{
    Dimensions from the contiguous one on: extents and box in elements, strides in bytes for every dimension but the first.
    `swizzle` is the span in bytes whose 16-byte pieces are permuted in shared memory; 0 for none.
  }];
  let parameters = (ins "int64_t":$arg, ArrayRefParameter<"int64_t">:$extents, ArrayRefParameter<"int64_t">:$strides,
                        ArrayRefParameter<"int64_t">:$box, "int64_t":$swizzle);
  let genVerifyDecl = 1;
  let assemblyFormat = [{`<` $arg `extents` `[` $extents `]` `strides` `[` $strides `]` `box` `[` $box `]` `swizzle`
                         $swizzle `>`}];
}

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_ProgramOp : Plan_Op<"program", [Symbol, SymbolTable, IsolatedFromAbove, SingleBlock, NoTerminator,
                                        NoRegionArguments]> {
  let summary = "one target's program";
  let description = [{
    The symbol is the target. `memory` is what the runtime will request from the device, in bytes by space; it is absent
    until `plan-place-memory` has run.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$precision, I64Attr:$min_driver,
                       OptionalAttr<DictionaryAttr>:$memory);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{$sym_name `precision` $precision `min_driver` $min_driver (`memory` $memory^)?
                         attr-dict-with-keyword $body}];
  let hasVerifier = 1;
}

def Plan_BufferOp : Plan_Op<"buffer", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "a range of one space";
  let description = [{
    `offset` is in bytes from the start of the space, a multiple of 256, absent until memory is placed. An arena buffer lives
    in one `entry` from the node `first` that writes it to the node `last` during which it must stay intact.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_Space:$space, TypeAttrOf<AnyStaticShapeTensor>:$type,
                       OptionalAttr<I64Attr>:$offset, OptionalAttr<FlatSymbolRefAttr>:$entry,
                       OptionalAttr<I64Attr>:$first, OptionalAttr<I64Attr>:$last);
  let assemblyFormat = [{$sym_name `in` $space `:` $type (`at` $offset^)? (`live` $entry^ $first `to` $last)?
                         attr-dict}];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Bytes without padding.
    int64_t getBytes();
  }];
}

def Plan_ParameterOp : Plan_Op<"parameter", [Symbol]> {
  let summary = "a tensor of the weights file";
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$shape, StrAttr:$tensor);
  let assemblyFormat = "$sym_name $shape `from` $tensor attr-dict";
}

def Plan_ConstantOp : Plan_Op<"constant", [HasParent<"ProgramOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "how a constant is made at load";
  let description = [{
    `parts` are the buffers that kernels take: the values, then the scales if there are any; `tensors` says which tensor of the
    recipe each holds. Tensors 0, 1, ... are the parameters `sources`, in f32; each of `steps` adds one, or two. Layout steps
    come last: no value step takes what one made. That the shapes chain is checked with the rest of the file.
  }];
  let arguments = (ins TypedArrayAttrBase<FlatSymbolRefAttr, "buffers">:$parts, DenseI64ArrayAttr:$tensors,
                       TypedArrayAttrBase<FlatSymbolRefAttr, "parameters">:$sources, ArrayAttr:$steps);
  let assemblyFormat = "$parts `=` $tensors `of` $sources $steps attr-dict";
}

def Plan_RingOp : Plan_Op<"ring", [HasParent<"ProgramOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "keys and values of one layer";
  let description = "`parts` are its buffers: the values, then the scales if there are any.";
  let arguments = (ins StrAttr:$ring, TypedArrayAttrBase<FlatSymbolRefAttr, "buffers">:$parts);
  let assemblyFormat = "$ring $parts attr-dict";
}

def Plan_SourceOp : Plan_Op<"source", [Symbol]> {
  let summary = "a file that kernels include";
  let description = "The symbol is its path, the text CUDA C++ without include directives: what it needs comes before it.";
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$text);
  let assemblyFormat = "$sym_name $text attr-dict";
}

def Plan_KernelOp : Plan_Op<"kernel", [Symbol, HasParent<"ProgramOp">]> {
  let summary = "a kernel with its parameters";
  let description = [{
    `params` are those of the meaning and of the engine, by name: integers, or types. `source` is CUDA C++ with the symbol
    as its entry point, behind the texts of the files in `includes`; `cubin` is that compiled for exactly the program's
    target. A kernel of a cpu program, and one that is a library's, has neither these nor an engine.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$meaning, OptionalAttr<StrAttr>:$engine, DictionaryAttr:$params,
                       OptionalAttr<StrArrayAttr>:$includes, OptionalAttr<StrAttr>:$source,
                       OptionalAttr<ElementsAttr>:$cubin);
  let assemblyFormat = [{$sym_name `meaning` $meaning (`engine` $engine^)? $params
                         (`includes` $includes^ `source` $source)? (`cubin` $cubin^)? attr-dict}];
}

def Plan_EntryOp : Plan_Op<"entry", [Symbol, SingleBlock, NoTerminator, NoRegionArguments, HasParent<"ProgramOp">,
                                    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "an entry point: nodes in a valid order";
  let description = [{
    A generate entry has loops after its nodes: `plan.while` over a prefill entry (the chunks of the prompts), then over a
    decode entry (the steps). `eager` counts what the nodes were before fusion: {launches, bytes, flops}.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_EntryKind:$kind, I64Attr:$tokens, I64Attr:$rows,
                       DictionaryAttr:$inputs, DictionaryAttr:$outputs, OptionalAttr<DictionaryAttr>:$eager);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{$sym_name $kind `tokens` $tokens `rows` $rows `inputs` $inputs `outputs` $outputs
                         (`eager` $eager^)? attr-dict-with-keyword $body}];
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "EntryKind":$kind, "int64_t":$tokens, "int64_t":$rows,
                                 "::mlir::DictionaryAttr":$inputs, "::mlir::DictionaryAttr":$outputs), [{
    build($_builder, $_state, name, kind, tokens, rows, inputs, outputs, {});
  }]>];
  let hasRegionVerifier = 1;
}

def Plan_WhileOp : Plan_Op<"while", [SingleBlock, NoTerminator, NoRegionArguments, HasParent<"EntryOp">,
                                    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the nodes of an entry, then those of the region, again and again while a word is not 0";
  let description = [{
    `go` is a u32 buffer that the nodes set; in a CUDA graph they set the loop's condition as well. Nodes of the region are
    counted on from those of the entry, so that their edges may name both.
  }];
  let arguments = (ins FlatSymbolRefAttr:$entry, FlatSymbolRefAttr:$go, I64Attr:$word);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$entry `go` $go `[` $word `]` attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

class Plan_NodeOp<string mnemonic> : Plan_Op<mnemonic, [ParentOneOf<["EntryOp", "WhileOp"]>,
                                                          DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Plan_LaunchOp : Plan_NodeOp<"launch"> {
  let summary = "one kernel launch";
  let description = [{
    `args` are buffers (symbols), i32 and f32 scalars and conditions in the template's order. `after` lists the earlier nodes of the entry
    that must have finished, by index; `programmatic` those of them that may still be running, on which the kernel itself
    waits. Both are absent until `plan-form-edges` has run. `bytes` and `flops` are the kernel's cost. `maps` are the tensor
    maps that the kernel takes behind its arguments. `considered` says what was weighed for this launch, the winner first.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, ArrayAttr:$args, DenseI32ArrayAttr:$grid, DenseI32ArrayAttr:$block,
                       I64Attr:$shared, I64Attr:$bytes, I64Attr:$flops, OptionalAttr<DenseI32ArrayAttr>:$after,
                       OptionalAttr<DenseI32ArrayAttr>:$programmatic,
                       OptionalAttr<TypedArrayAttrBase<Plan_TensorMapAttr, "tensor maps">>:$maps,
                       OptionalAttr<StrArrayAttr>:$considered);
  let assemblyFormat = [{$kernel $args (`maps` $maps^)? `grid` $grid `block` $block `shared` $shared `bytes` $bytes
                         `flops` $flops (`after` $after^)? (`programmatic` $programmatic^)? attr-dict}];
  let hasVerifier = 1;
}

def Plan_GemmOp : Plan_NodeOp<"gemm"> {
  let summary = "one matrix product by cuBLASLt";
  let description = [{
    y = x wᵀ with args [x, w, y, token slots]; `kernel` is the instance whose meaning it has. `version`, `algorithm`
    and `considered` as for `kern.linear`; another version of the library takes its own first choice.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, ArrayAttr:$args, I64Attr:$bytes, I64Attr:$flops,
                       OptionalAttr<DenseI32ArrayAttr>:$after, OptionalAttr<StrAttr>:$version,
                       OptionalAttr<I64Attr>:$algorithm, OptionalAttr<StrArrayAttr>:$considered);
  let assemblyFormat = [{$kernel $args `bytes` $bytes `flops` $flops (`after` $after^)?
                         (`version` $version^ `algorithm` $algorithm)? attr-dict}];
  let hasVerifier = 1;
}

#endif // NANOCC_PLAN_TD
