// RUN: nanocc-opt %s --kern-lower-to-plan | FileCheck %s
// RUN: sed -e 's/@sm_90a/@cpu/' -e 's/by {engine = "cublaslt"}//' %s | nanocc-opt --kern-lower-to-plan | FileCheck %s --check-prefix=CPU

// CHECK: plan.parameter @w [8, 8] from "transformer.w"
// CHECK-LABEL: plan.program @sm_90a precision "bf16" min_driver 13000
// CHECK: plan.buffer @w in constant : tensor<8x8xbf16>
// CHECK: plan.constant [@w] = [1] of [@w] [#plan.cast<0 to bf16>]
// CHECK: plan.buffer @rope in constant : tensor<16x4xbf16>
// CHECK: plan.constant [@rope] = [1] of [] [#plan.rope<1.000000e+05 : f64 positions 16 head_size 4>, #plan.cast<0 to bf16>]
// CHECK: plan.buffer @kv in kv : tensor<2x2x2x9x4xbf16>
// CHECK: plan.ring "kv" [@kv]
// CHECK: plan.buffer @decode_2.x in state : tensor<2x8xbf16>
// A value lives until one node after its last reader: the first is read by node 4, which is the last.
// CHECK: plan.buffer @decode_2.0.relu2 in arena : tensor<2x8xbf16> live @decode_2 0 to 4
// CHECK: plan.buffer @decode_2.1.product in arena : tensor<2x8xbf16> live @decode_2 1 to 3
// CHECK: plan.buffer @decode_2.2.rope in arena : tensor<2x8xbf16> live @decode_2 2 to 4
// The host reads the result after the entry.
// CHECK: plan.buffer @decode_2.4.relu2 in arena : tensor<2x8xbf16> live @decode_2 4 to 4
// Two launches of one instance share a kernel, whose source is in the plan.
// CHECK-COUNT-1: plan.kernel @relu2_simt_bf16 meaning "relu2" engine "simt" {T = bf16} includes [{{.*}}] source "{{.*}}extern
// CHECK-NOT: plan.kernel @relu2_simt_bf16
// CHECK: plan.kernel @product_reference_bf16_bf16_8_8_0 meaning "product" {K = 8 : i64, N = 8 : i64, O = bf16, T = bf16, norm = 0 : i64}
// CHECK: plan.entry @decode_2 decode tokens 2 rows 2 inputs {ends = @decode_2.ends, positions = @decode_2.positions, rows = @decode_2.rows, x = @decode_2.x} outputs {y = @decode_2.4.relu2}
// CHECK: plan.launch @relu2_simt_bf16 [@decode_2.x, @decode_2.0.relu2, 16 : i32] grid
// Bytes: x and y of 16, w of 64 elements, 2 bytes each; FLOPs: 2 x 2 x 8 x 8.
// CHECK: plan.gemm @product_reference_bf16_bf16_8_8_0 [@decode_2.0.relu2, @w, @decode_2.1.product, 2 : i32] bytes 192 flops 256
// CHECK: plan.launch @rope_{{[^ ]+}} [@decode_2.1.product, @rope, @decode_2.positions, @decode_2.2.rope, 2 : i32]
// CHECK: plan.launch @kv_write_{{[^ ]+}} [@decode_2.2.rope, @decode_2.2.rope, @decode_2.rows, @decode_2.positions, @decode_2.ends, @kv, 2 : i32]
// CHECK: plan.launch @relu2_simt_bf16 [@decode_2.0.relu2, @decode_2.4.relu2, 16 : i32]
// The library's scratch: 32 MiB.
// CHECK: plan.buffer @workspace in workspace : tensor<8388608xi32>

// CPU-LABEL: plan.program @cpu precision "bf16" min_driver 0
// CPU-NOT: source
// CPU-NOT: plan.gemm
// CPU-NOT: @workspace
// CPU: plan.launch @product_reference_bf16_bf16_8_8_0

nano.param @w : tensor<8x8xbf16> from "transformer.w"
kern.program @sm_90a precision "bf16" {
  kern.weight @w : tensor<8x8xbf16> cast @w
  kern.rope_table @rope : tensor<16x4xbf16> base 1.0e5
  kern.cache @kv : !kern.kv<rows 2, heads 2, positions 9, dim 4, bf16>
  func.func @decode_2(%x: tensor<2x8xbf16> {nano.binding = "x"}, %pos: tensor<2xi32> {nano.binding = "positions"},
                      %rows: tensor<2xi32> {nano.binding = "rows"}, %ends: tensor<2xi32> {nano.binding = "ends"})
      -> (tensor<2x8xbf16> {nano.binding = "y"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %w = kern.ref @w : tensor<8x8xbf16>
    %t = kern.ref @rope : tensor<16x4xbf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 2, positions 9, dim 4, bf16>
    %a = kern.relu2 %x : tensor<2x8xbf16>
    %b = kern.product %a, %w by {engine = "cublaslt"} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    %c = kern.rope %b, %t, %pos : (tensor<2x8xbf16>, tensor<16x4xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    kern.kv_write %c, %c at %rows, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 2, positions 9, dim 4, bf16>
    %d = kern.relu2 %a : tensor<2x8xbf16>
    return %d : tensor<2x8xbf16>
  }
}
