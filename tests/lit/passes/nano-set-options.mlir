// RUN: nanocc-opt %s --nano-set-options | FileCheck %s --check-prefix=DEFAULTS
// RUN: nanocc-opt %s --nano-set-options="target=cpu,sm_80 batch=8,2 prefill=96 max-seq=48 precision=f32 fuse=norm,embed template={{decode*=stream,M=4},*=mma}" | FileCheck %s --check-prefix=GIVEN

// As nanocc has them: buckets are powers of two from 128, ending in max-seq, here below 128.
// DEFAULTS: nano.options = {batches = array<i64: 1>, fuse = "all", max_seq = 64 : i64, precision = "bf16", prefill = array<i64: 64>, targets = ["sm_90a"]}

// Batches ascend, fusions are in the pipeline's order.
// GIVEN: nano.options = {batches = array<i64: 2, 8>, fuse = "embed,norm", max_seq = 48 : i64, precision = "f32", prefill = array<i64: 96>, targets = ["cpu", "sm_80"], templates = ["decode*=stream,M=4", "*=mma"]}

// What a module has decided stays.
// RUN: nanocc-opt %s --nano-set-options="target=cpu" --nano-set-options | FileCheck %s --check-prefix=KEPT
// RUN: nanocc-opt %s --nano-set-options="target=cpu" --nano-set-options="target=cpu max-seq=64" | FileCheck %s --check-prefix=KEPT
// KEPT: precision = "f32"{{.*}} targets = ["cpu"]

// Times by target, of one device.
// RUN: echo '{"format": 2, "target": "sm_90a", "device": "one", "times": [{"problem": "product T=bf16 O=bf16 K=8 N=8 norm=0 n=8", "choice": "stream M=8", "us": 2.5}]}' > %t.one.json
// RUN: nanocc-opt %s --nano-set-options="tuning=%t.one.json" | FileCheck %s --check-prefix=TUNING
// TUNING: tuning = {sm_90a = {"product T=bf16 O=bf16 K=8 N=8 norm=0 n=8 by stream M=8" = 2.500000e+00 : f64}}

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 64}} {}
