// bf16 between launches, but logits and what is made of them stay f32, also through a selection; f32 changes nothing.
// RUN: nanocc-opt %s --nano-choose-precision | FileCheck %s
// RUN: sed 's/precision = "bf16"/precision = "f32"/' %s | nanocc-opt --nano-choose-precision | FileCheck %s --check-prefix=F32

// CHECK-LABEL: func.func @entry
// CHECK: nano.embed {{.*}} -> tensor<4x8xbf16>
// CHECK: nano.relu2 {{.*}} : tensor<4x8xbf16>
// CHECK: nano.linear {{.*}} : tensor<4x8xbf16> -> tensor<4x16xf32>
// CHECK: nano.last {{.*}} -> tensor<2x16xf32>
// CHECK-LABEL: func.func @score
// CHECK: nano.linear {{.*}} : tensor<4x8xbf16> -> tensor<4x16xf32>
// CHECK: nano.softcap {{.*}} -> tensor<4x10xf32>
// CHECK: nano.nll {{.*}} -> tensor<4xf32>
// F32-NOT: tensor<4x8xbf16>
module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "bf16", fuse = "all"}} {
  nano.param @w : tensor<16x8xbf16> from "w"
  func.func @entry(%ids: tensor<4xi32>, %index: tensor<2xi32>, %steps: tensor<2xi32>, %words: tensor<8xui32>) -> tensor<2xi32> {
    %e = nano.embed %ids, @w : tensor<4xi32> -> tensor<4x8xf32>
    %y = nano.relu2 %e : tensor<4x8xf32>
    %z = nano.linear %y, @w : tensor<4x8xf32> -> tensor<4x16xf32>
    %r = nano.last %z, %index : tensor<4x16xf32>, tensor<2xi32> -> tensor<2x16xf32>
    %n = nano.sample %r, %index, %steps, %words vocab 10 : tensor<2x16xf32>, tensor<2xi32>, tensor<8xui32>
    return %n : tensor<2xi32>
  }
  func.func @score(%ids: tensor<4xi32>) -> (tensor<4xf32>, tensor<4x10xf32>) {
    %e = nano.embed %ids, @w : tensor<4xi32> -> tensor<4x8xf32>
    %z = nano.linear %e, @w : tensor<4x8xf32> -> tensor<4x16xf32>
    %l = nano.softcap %z : tensor<4x16xf32> -> tensor<4x10xf32>
    %n = nano.nll %l, %ids : tensor<4x10xf32>, tensor<4xi32> -> tensor<4xf32>
    return %n, %l : tensor<4xf32>, tensor<4x10xf32>
  }
}
