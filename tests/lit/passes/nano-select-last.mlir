// RUN: nanocc-opt %s --nano-select-last | FileCheck %s

nano.param @proj : tensor<8x8xbf16> from "proj"
nano.param @fc : tensor<32x8xbf16> from "fc"
nano.param @out : tensor<8x32xbf16> from "out"
nano.param @head : tensor<16x8xbf16> from "head"
nano.cache @kv heads 1 dim 8

// After the last attention only two of 64 tokens matter: projection, MLP and head run on them.
// CHECK-LABEL: func.func @last_layer
// CHECK: [[A:%.+]] = nano.attention
// CHECK: [[AR:%.+]] = nano.last [[A]], {{.*}} : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
// CHECK: [[P:%.+]] = nano.linear [[AR]], @proj : tensor<2x8xf32> -> tensor<2x8xf32>
// CHECK: [[X:%.+]] = nano.add {{.*}}, [[P]] : tensor<2x8xf32>
// CHECK: nano.rms_norm [[X]] : tensor<2x8xf32>
// CHECK: nano.linear {{.*}}, @fc : tensor<2x8xf32> -> tensor<2x32xf32>
// CHECK: nano.relu2 {{.*}} : tensor<2x32xf32>
// CHECK: nano.linear {{.*}}, @out : tensor<2x32xf32> -> tensor<2x8xf32>
// CHECK: nano.add [[X]], {{.*}} : tensor<2x8xf32>
// CHECK: [[Z:%.+]] = nano.linear {{.*}}, @head : tensor<2x8xf32> -> tensor<2x16xf32>
// CHECK-NOT: tensor<64x
// CHECK: return [[Z]]
func.func @last_layer(%x: tensor<64x8xf32>, %index: tensor<2xi32>) -> tensor<2x16xf32> {
  %a = nano.attention %x, %x, %x cache @kv : tensor<64x8xf32>, tensor<64x8xf32>, tensor<64x8xf32>
  %p = nano.linear %a, @proj : tensor<64x8xf32> -> tensor<64x8xf32>
  %r = nano.add %x, %p : tensor<64x8xf32>
  %n = nano.rms_norm %r : tensor<64x8xf32>
  %f = nano.linear %n, @fc : tensor<64x8xf32> -> tensor<64x32xf32>
  %u = nano.relu2 %f : tensor<64x32xf32>
  %m = nano.linear %u, @out : tensor<64x32xf32> -> tensor<64x8xf32>
  %y = nano.add %r, %m : tensor<64x8xf32>
  %z = nano.linear %y, @head : tensor<64x8xf32> -> tensor<64x16xf32>
  %l = nano.last %z, %index : tensor<64x16xf32>, tensor<2xi32> -> tensor<2x16xf32>
  return %l : tensor<2x16xf32>
}

// One operand twice is selected once.
// CHECK-LABEL: func.func @twice
// CHECK: [[R:%.+]] = nano.last %{{.*}} : tensor<64x8xf32>
// CHECK-NEXT: nano.add [[R]], [[R]] : tensor<2x8xf32>
func.func @twice(%x: tensor<64x8xf32>, %index: tensor<2xi32>) -> tensor<2x8xf32> {
  %y = nano.add %x, %x : tensor<64x8xf32>
  %l = nano.last %y, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %l : tensor<2x8xf32>
}

// A selection that is already there, behind the operation, is used.
// CHECK-LABEL: func.func @there_already
// CHECK: [[R:%.+]] = nano.last %{{.*}} : tensor<64x8xf32>
// CHECK-NEXT: [[Y:%.+]] = nano.relu2 [[R]] : tensor<2x8xf32>
// CHECK-NEXT: return [[Y]], [[R]]
func.func @there_already(%x: tensor<64x8xf32>, %index: tensor<2xi32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %y = nano.relu2 %x : tensor<64x8xf32>
  %a = nano.last %y, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  %b = nano.last %x, %index : tensor<64x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %a, %b : tensor<2x8xf32>, tensor<2x8xf32>
}
