// A weight of f8E4M3FN is made of its parameters, one below the other, and has its rows' scales as a second part.
// RUN: nanocc-opt %s --kern-choose-templates --kern-lower-to-plan | FileCheck %s

// CHECK: plan.buffer @w in constant : tensor<16x16xf8E4M3FN>
// CHECK: plan.buffer @w.1 in constant : tensor<16x1xf32>
// CHECK: plan.constant [@w, @w.1] = [3, 4] of [@a, @b] [#plan.concatenate<[0, 1] axis 0>, #plan.quantize<2 to e4m3 axis 1 group 0>]
// CHECK: plan.kernel @product_scaled_add_stream_bf16_bf16_16_16_0_f8e4m3_2 meaning "product_scaled_add" engine "stream"
// Bytes: x, r and y of 32 elements of 2 bytes, w of 256 of one, 16 scales of 4.
// CHECK: plan.launch @product_scaled_add_stream{{[^ ]+}} [@decode_2.x, @w, @w.1, @decode_2.x, @decode_2.0.product, 2 : i32]
// CHECK-SAME: bytes 512 flops 1056

nano.param @a : tensor<8x16xbf16> from "a"
nano.param @b : tensor<8x16xbf16> from "b"
kern.program @sm_90a precision "fp8" {
  kern.weight @w : tensor<16x16xf8E4M3FN> cast @a, @b
  func.func @decode_2(%x: tensor<2x16xbf16> {nano.binding = "x"}) -> (tensor<2x16xbf16> {nano.binding = "y"})
      attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %w = kern.ref @w : tensor<16x16xf8E4M3FN>
    %s = kern.ref @w part 1 : tensor<16x1xf32>
    %y = kern.product %x, %w scaled %s plus %x : (tensor<2x16xbf16>, tensor<16x16xf8E4M3FN>, tensor<16x1xf32>, tensor<2x16xbf16>) -> tensor<2x16xbf16>
    return %y : tensor<2x16xbf16>
  }
}
