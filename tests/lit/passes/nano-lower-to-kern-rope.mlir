// One table per base, head size and type. In an f32 plan generations A-C still round theirs to bf16.
// RUN: nanocc-opt %s --nano-lower-to-kern | FileCheck %s

// CHECK-COUNT-3: kern.rope_table
// CHECK-NOT: kern.rope_table
// CHECK-LABEL: func.func @decode_1
// CHECK: kern.rope {{.*}} tensor<16x4xf32>
// CHECK: kern.rope {{.*}} tensor<16x4xbf16>
// CHECK: kern.rope {{.*}} tensor<16x4xf32>
// CHECK: kern.rope {{.*}} tensor<16x4xf32>
module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
  func.func @decode_1(%x: tensor<1x8xf32> {nano.binding = "x"}) -> (tensor<1x8xf32> {nano.binding = "y"})
      attributes {nano.entry = {kind = "decode", tokens = 1, rows = 1}} {
    %a = nano.rope %x heads 2 base 1.0e4 : tensor<1x8xf32>
    %b = nano.rope %a heads 2 base 1.0e4 bf16_table : tensor<1x8xf32>
    %c = nano.rope %b heads 2 base 1.00005e4 : tensor<1x8xf32>
    %d = nano.rope %c heads 2 base 1.0e4 : tensor<1x8xf32>
    return %d : tensor<1x8xf32>
  }
}
