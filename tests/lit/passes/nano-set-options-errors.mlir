// RUN: nanocc-opt %s --split-input-file --verify-diagnostics --nano-set-options="target=cpu max-seq=64"
// RUN: sed '/expected-error/d; /^\/\/ ---/,$d' %s > %t.mlir
// RUN: not nanocc-opt %t.mlir --nano-set-options="target=sm_1" 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: error: {{.*}}sm_1
// RUN: not nanocc-opt %t.mlir --nano-set-options="tuning=%t.none" 2>&1 | FileCheck %s --check-prefix=FILE
// FILE: error: {{.*}}.none
// RUN: echo '{"format": 3}' > %t.json && not nanocc-opt %t.mlir --nano-set-options="tuning=%t.json" 2>&1 | FileCheck %s --check-prefix=FORMAT
// FORMAT: error: {{.*}}.json: it is not a tuning file of format 2

// expected-error @+1 {{--max-seq 64 contradicts the input, which was emitted with 32}}
module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 32>, max_seq = 32, precision = "f32", fuse = "all"}} {}

// -----

// expected-error @+2 {{'nano.options' needs targets, batches, prefill, max_seq, precision and fuse}}
// expected-error @+1 {{the input's 'nano.options' is malformed; start again from model.mlir}}
module attributes {nano.options = {targets = ["cpu"]}} {}
