// Every pass: one record here, one source beside it, one test and one error test under tests/lit.
//
// A pass's argument is its DEBUG_TYPE. Statistics are llvm::TrackingStatistic (--statistics), never `let statistics`:
// Debian's MLIR is built without them, and its library then leaves the members of such a statistic uninitialised.
#ifndef NANOCC_PASSES_TD
#define NANOCC_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// nano
//===----------------------------------------------------------------------===//

def NanoVerifyModel : Pass<"nano-verify-model", "::mlir::ModuleOp"> {
  let summary = "The contract of a model: facts, one @forward from ids to logits, one use of every cache";
}

def NanoSetOptions : Pass<"nano-set-options", "::mlir::ModuleOp"> {
  let summary = "Notes what the user decides, as the module's nano.options";
  let description = [{
    The options are nanocc's flags and have its defaults. A module that has `nano.options` keeps them, and an option that says
    otherwise is an error: later passes go by the attribute alone.
  }];
  let options = [
    ListOption<"targets", "target", "std::string", "Programs, such as cpu or sm_90a">,
    ListOption<"batches", "batch", "int64_t", "Rows of the decode entries">,
    ListOption<"prefill", "prefill", "int64_t", "Token buckets">,
    Option<"maxSeq", "max-seq", "int64_t", "0", "Positions a session holds (0: as trained)">,
    Option<"precision", "precision", "std::string", "", "f32, bf16 or auto">,
    Option<"fuse", "fuse", "std::string", "", "none, all or some of attention,embed,norm,activation,residual">,
    ListOption<"templates", "template", "std::string", "As {{PATTERN=ENGINE,PARAMETER=N},...}">,
    ListOption<"tuning", "tuning", "std::string", "Files of nanort tune">
  ];
}

def NanoSetStage : Pass<"nano-set-stage", "::mlir::ModuleOp"> {
  let summary = "Notes the stage that a module has reached, as its nano.stage";
  let options = [Option<"stage", "stage", "std::string", "", "nano, kern or plan">];
}

def NanoFixShapes : Pass<"nano-fix-shapes", "::mlir::ModuleOp"> {
  let summary = "Makes static entry points of @forward";
  let description = [{
    One `prefill_T` per token bucket, one `decode_B` per batch, and `score_N` (at most 128 token slots, all of whose logits
    are wanted). Batch and sequence become one dimension of token slots; ids of previous tokens become an input.
    Prefill and decode end in `nano.sample` on the logits before the softcap; score ends in logits and `nano.nll`.
  }];
  let dependentDialects = ["::nanocc::nano::NanoDialect", "::mlir::func::FuncDialect"];
}

def NanoSelectLast : Pass<"nano-select-last", "::mlir::ModuleOp"> {
  let summary = "Moves nano.last towards the inputs, past operations that treat each token by itself";
  let description = [{
    Prefill needs logits of one token per row. After this pass everything behind the last layer's attention works on those
    rows alone.
  }];
}

def NanoChoosePrecision : Pass<"nano-choose-precision", "::mlir::ModuleOp"> {
  let summary = "Gives activations the type they are stored in between launches";
  let description = "Logits stay f32: greedy compares them, and rounding would create ties.";
}

//===----------------------------------------------------------------------===//
// kern
//===----------------------------------------------------------------------===//

def NanoLowerToKern : Pass<"nano-lower-to-kern", "::mlir::ModuleOp"> {
  let summary = "One kern.program per target, one launch per nano operation";
  let description = [{
    Attention becomes two launches: the attention itself and the update of its ring. Rotary tables are declared once per
    (base, type); weights once each, matrices in the compute type and vectors in f32.
  }];
  let dependentDialects = ["::nanocc::kern::KernDialect"];
}

def KernCountEager : Pass<"kern-count-eager", "::mlir::ModuleOp"> {
  let summary = "Notes what every entry is before any fusion: launches, bytes, FLOPs";
  let description = "As `kern.eager`, with which reports compare what fusion leaves.";
}

def KernFuseAttention : Pass<"kern-fuse-attention", "::mlir::ModuleOp"> {
  let summary = "Attention: one linear for q, k and v, one launch for what follows them";
  let description = [{
    Rotation, norm of heads, multiplier and value gate become `kern.prepare_qkv`; in decode entries, where an engine
    serves the heads, the prologue of `kern.attention_step`, which also writes the ring. The three matrices become
    one constant, if all that reads them can be fused. An attention that keeps its launches gets a remark that says why.
  }];
}

def KernFuseEmbed : Pass<"kern-fuse-embed", "::mlir::ModuleOp"> {
  let summary = "Embedding, norm, smear and the first layer's mix become one launch";
}

def KernFuseNormLinear : Pass<"kern-fuse-norm-linear", "::mlir::ModuleOp"> {
  let summary = "A norm becomes a row scale of the linears that it feeds";
  let description = [{
    rms(x) Wᵀ = rsqrt(mean x² + ε) · (x Wᵀ), with the scale on the f32 sum. The norm goes if nothing else uses it.
  }];
}

def KernFuseActivation : Pass<"kern-fuse-activation", "::mlir::ModuleOp"> {
  let summary = "relu² goes into the linear that feeds it alone";
}

def KernFuseResidual : Pass<"kern-fuse-residual", "::mlir::ModuleOp"> {
  let summary = "The residual's sum goes into the linear that feeds it";
  let description = [{
    With it go the next layer's mix or the backout. Where something else uses a mixed sum (the backout's middle does), the
    launch gives both; a backout takes only a sum of its own.
  }];
}

def KernChooseTemplates : Pass<"kern-choose-templates", "::mlir::ModuleOp"> {
  let summary = "Decides what runs each launch where there is a choice";
  let description = [{
    A product or an attention gets the engine and the tiles of the shortest time: measured, if the option `tuning` has it, else
    predicted from bytes, FLOPs, rounds of blocks and the device's description. In CUDA programs, linear layers into which
    nothing was fused go to cuBLASLt unless an override or measured times of both say otherwise; an algorithm of its is named
    only if one was measured, with the library's version. What an engine needs besides,
    scratch and counters, becomes operands and results. The option `templates` overrides by pattern. Everything weighed stays on the operation for the report.
  }];
}

def KernVerify : Pass<"kern-verify", "::mlir::ModuleOp"> {
  let summary = "Every launch fits its kernel: arguments, types, and the constraints of its meaning and engine";
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

def KernLowerToPlan : Pass<"kern-lower-to-plan", "::mlir::ModuleOp"> {
  let summary = "Buffers with lifetimes, constants with recipes, kernels with sources, nodes in order";
  let dependentDialects = ["::nanocc::plan::PlanDialect"];
}

def PlanFormGeneration : Pass<"plan-form-generation", "::mlir::ModuleOp"> {
  let summary = "Whole generations: a generate entry for every prefill and decode entry";
  let description = [{
    `generate_T_B` feeds the prompts' first chunk, repeats `prefill_T` with a feed of the next chunk behind it, then
    `decode_B` with an advance of its rows behind it. Prompts and request are inputs; tokens come out through a ring in
    mapped memory. A program whose prefill or decode entries a session could not use gets none.
  }];
}

def PlanPlaceMemory : Pass<"plan-place-memory", "::mlir::ModuleOp"> {
  let summary = "An offset for every buffer, and the bytes of every space";
  let description = [{
    The arena is placed per entry by first fit in decreasing size; entries never run at the same time, so they share it. All
    offsets are multiples of 256 bytes. Greedy-by-size after Pisarchyk and Lee, "Efficient memory management for deep neural
    net inference" (2020).
  }];
  let options = [Option<"reuse", "reuse", "bool", "true",
                        "Let buffers that are not alive together share bytes; without, a wrong lifetime is harmless">];
}

def PlanFormEdges : Pass<"plan-form-edges", "::mlir::ModuleOp"> {
  let summary = "Which earlier nodes each node waits for";
  let description = [{
    A node waits for those whose bytes it reads, overwrites, or writes again (read after write, write after read, write after
    write, on buffers and on arena ranges that they share), less what follows from other edges. On CUDA programs the edge
    between two launches is programmatic (the consumer starts early and waits on the device) if it is the consumer's only
    one, comes from the node right before, and both leave half an SM's shared memory to the other.
  }];
  let options = [Option<"programmatic", "programmatic", "bool", "true", "Let launches start early">];
}

def PlanCompileKernels : Pass<"plan-compile-kernels", "::mlir::ModuleOp"> {
  let summary = "Machine code of every kernel, by NVRTC";
  let description = "Without NVRTC a warning: the runtime compiles the sources then.";
  let options = [Option<"cache", "cache", "std::string", "",
                        "Folder of compiled kernels, or none (default as the environment says)">];
}

def PlanVerify : Pass<"plan-verify", "::mlir::ModuleOp"> {
  let summary = "The contract of a plan: everything placed, nothing alive shares bytes, every conflict has an edge";
  let description = "Programmatic edges join two launches that can be resident on one SM together, and are never part of a join.";
}

#endif // NANOCC_PASSES_TD
