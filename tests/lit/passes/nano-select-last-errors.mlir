// The pass has no diagnostics: what it must not move, it leaves.
// RUN: nanocc-opt %s --nano-select-last | FileCheck %s

nano.param @wte : tensor<16x8xbf16> from "wte"
nano.cache @kv heads 1 dim 8

// Attention mixes tokens.
// CHECK-LABEL: func.func @attention
// CHECK: nano.attention {{.*}} : tensor<64x8xf32>
// CHECK-NEXT: nano.last
func.func @attention(%x: tensor<64x8xf32>, %index: tensor<2xi32>) -> tensor<2x8xf32> {
  %a = nano.attention %x, %x, %x cache @kv : tensor<64x8xf32>, tensor<64x8xf32>, tensor<64x8xf32>
  %l = nano.last %a, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %l : tensor<2x8xf32>
}

// Ids are inputs.
// CHECK-LABEL: func.func @ids
// CHECK: nano.embed {{.*}} -> tensor<64x8xf32>
// CHECK-NEXT: nano.last
func.func @ids(%ids: tensor<64xi32>, %index: tensor<2xi32>) -> tensor<2x8xf32> {
  %e = nano.embed %ids, @wte : tensor<64xi32> -> tensor<64x8xf32>
  %l = nano.last %e, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %l : tensor<2x8xf32>
}

// Somebody needs every token.
// CHECK-LABEL: func.func @shared
// CHECK: nano.relu2 {{.*}} : tensor<64x8xf32>
// CHECK-NEXT: nano.last
func.func @shared(%x: tensor<64x8xf32>, %index: tensor<2xi32>) -> (tensor<2x8xf32>, tensor<64x8xf32>) {
  %y = nano.relu2 %x : tensor<64x8xf32>
  %l = nano.last %y, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %l, %y : tensor<2x8xf32>, tensor<64x8xf32>
}

// Two indices want different tokens.
// CHECK-LABEL: func.func @two_indices
// CHECK: nano.relu2 {{.*}} : tensor<64x8xf32>
// CHECK-NEXT: nano.last
// CHECK-NEXT: nano.last
func.func @two_indices(%x: tensor<64x8xf32>, %i: tensor<2xi32>, %j: tensor<2xi32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %y = nano.relu2 %x : tensor<64x8xf32>
  %a = nano.last %y, %i : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  %b = nano.last %y, %j : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %a, %b : tensor<2x8xf32>, tensor<2x8xf32>
}

// The index is made after what it would be moved before.
// CHECK-LABEL: func.func @computed_index
// CHECK: nano.relu2 {{.*}} : tensor<64x8xf32>
// CHECK: nano.last
func.func @computed_index(%x: tensor<64x8xf32>, %ids: tensor<2xi32>) -> tensor<2x8xf32> {
  %y = nano.relu2 %x : tensor<64x8xf32>
  %index = nano.previous %ids : tensor<2xi32>
  %l = nano.last %y, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %l : tensor<2x8xf32>
}
