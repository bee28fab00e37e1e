// RUN: nanocc-opt %s --verify-roundtrip | FileCheck %s

// CHECK: plan.parameter @w [8, 8] from "transformer.w"
plan.parameter @w [8, 8] from "transformer.w"

// CHECK: plan.program @sm_90a precision "bf16" min_driver 13000 memory {arena = 256 : i64, constants = 512 : i64, kv = 256 : i64, state = 256 : i64, workspace = 256 : i64}
plan.program @sm_90a precision "bf16" min_driver 13000 memory {constants = 512, kv = 256, state = 256, arena = 256, workspace = 256} {
  // CHECK: plan.buffer @w in constant : tensor<8x8xbf16> at 0
  plan.buffer @w in constant : tensor<8x8xbf16> at 0
  plan.buffer @rope in constant : tensor<4x4xf32> at 256
  // CHECK: plan.buffer @kv in kv : tensor<1x2x1x4x4xbf16> at 0
  plan.buffer @kv in kv : tensor<1x2x1x4x4xbf16> at 0
  // CHECK: plan.buffer @x in state : tensor<1x8xbf16>{{$}}
  plan.buffer @x in state : tensor<1x8xbf16>
  // CHECK: plan.buffer @y in arena : tensor<1x8xbf16> at 0 live @decode_1 0 to 1
  plan.buffer @y in arena : tensor<1x8xbf16> at 0 live @decode_1 0 to 1
  // CHECK: plan.buffer @workspace in workspace : tensor<64xi32> at 0
  plan.buffer @workspace in workspace : tensor<64xi32> at 0
  // CHECK: plan.constant [@w] = [1] of [@w] [#plan.cast<0 to bf16>]
  plan.constant [@w] = [1] of [@w] [#plan.cast<0 to bf16>]
  // CHECK: plan.constant [@rope] = [0] of [] [#plan.rope<1.000000e+05 : f64 positions 4 head_size 4>]
  plan.constant [@rope] = [0] of [] [#plan.rope<1.0e5 : f64 positions 4 head_size 4>]
  plan.buffer @values in constant : tensor<8x12xf8E4M3FN>
  plan.buffer @scales in constant : tensor<8x1xf32>
  // CHECK: plan.constant [@values, @scales] = [8, 6] of [@w, @w] [#plan.slice<0 axis 0 from 4 to 8>,
  // CHECK-SAME: #plan.concatenate<[2, 1] axis 0>, #plan.slice<3 axis 0 from 0 to 8>, #plan.quantize<4 to e4m3 axis 1 group 0>,
  // CHECK-SAME: #plan.permute<5 view[8, 8] order[1, 0]>, #plan.pad<7 axis 1 by 0 and 4>]
  plan.constant [@values, @scales] = [8, 6] of [@w, @w] [#plan.slice<0 axis 0 from 4 to 8>,
      #plan.concatenate<[2, 1] axis 0>, #plan.slice<3 axis 0 from 0 to 8>, #plan.quantize<4 to e4m3 axis 1 group 0>,
      #plan.permute<5 view [8, 8] order [1, 0]>, #plan.pad<7 axis 1 by 0 and 4>]
  // CHECK: plan.ring "layer 0" [@kv]
  plan.ring "layer 0" [@kv]
  // CHECK: plan.kernel @linear meaning "product" engine "stream" {K = 8 : i64, N = 8 : i64, O = bf16, T = bf16} includes ["a.cuh"] source "text" cubin dense<[1, 2]> : tensor<2xui8>
  plan.kernel @linear meaning "product" engine "stream" {T = bf16, O = bf16, K = 8, N = 8} includes ["a.cuh"] source "text" cubin dense<[1, 2]> : tensor<2xui8>
  // CHECK: plan.kernel @scale meaning "scale" {T = bf16}{{$}}
  plan.kernel @scale meaning "scale" {T = bf16}
  // CHECK: plan.entry @decode_1 decode tokens 1 rows 1 inputs {x = @x} outputs {y = @y} {
  plan.entry @decode_1 decode tokens 1 rows 1 inputs {x = @x} outputs {y = @y} {
    // CHECK: plan.gemm @linear [@x, @w, @y, 1 : i32] bytes 160 flops 128 after []
    plan.gemm @linear [@x, @w, @y, 1 : i32] bytes 160 flops 128 after []
    // CHECK: plan.launch @scale [@y, @y, 1.500000e+00 : f32, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 32 flops 8 after [0] programmatic [0]
    plan.launch @scale [@y, @y, 1.5 : f32, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 32 flops 8 after [0] programmatic [0]
  }
  // CHECK: plan.entry @prefill_8 prefill
  plan.entry @prefill_8 prefill tokens 8 rows 1 inputs {} outputs {} {
    // CHECK: plan.launch @scale {{.*}} flops 8{{$}}
    plan.launch @scale [@x, @x, 1.5 : f32, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 32 flops 8
    // CHECK: plan.launch @scale {{.*}} maps [#plan.tensor_map<0 extents[8, 2] strides[32] box[8, 1] swizzle 32>] grid {{.*}} flops 8 {considered = ["a: 1.00 us predicted", "b: 2.00 us measured"]}
    plan.launch @scale [@x, @x, 1.5 : f32, 8 : i32] maps [#plan.tensor_map<0 extents[8, 2] strides[32] box[8, 1] swizzle 32>] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 32 flops 8 {considered = ["a: 1.00 us predicted", "b: 2.00 us measured"]}
  }
  plan.buffer @go in state : tensor<2xui32> at 0
  // CHECK: plan.buffer @ring in mapped : tensor<4xi32>
  plan.buffer @ring in mapped : tensor<4xi32>
  // CHECK: plan.entry @generate_8_1 generate
  plan.entry @generate_8_1 generate tokens 8 rows 1 inputs {} outputs {ring = @ring} {
    // CHECK: plan.while @decode_1 go @go[1] {
    plan.while @decode_1 go @go[1] {
      // CHECK-NEXT: plan.launch @scale [@y, #plan.condition<0>] {{.*}} after [1] programmatic [1]
      plan.launch @scale [@y, #plan.condition<0>] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 32 flops 8 after [1] programmatic [1]
    }
  }
  // CHECK: plan.entry @score_8 score
  plan.entry @score_8 score tokens 8 rows 1 inputs {} outputs {} {
  }
}
