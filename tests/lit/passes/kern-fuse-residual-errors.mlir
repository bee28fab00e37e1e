// The pass has no diagnostics: what it does not know stays as it is.
// RUN: nanocc-opt %s --kern-fuse-residual | FileCheck %s

// The product is wanted by itself.
// CHECK-LABEL: func.func @shared
// CHECK: kern.product
// CHECK-NEXT: kern.add
func.func @shared(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  return %s, %l : tensor<2x8xbf16>, tensor<2x8xbf16>
}

// The sum is wanted before the mix, and by the backout on both sides.
// CHECK-LABEL: func.func @early
// CHECK: kern.product {{.*}} plus
// CHECK-NEXT: kern.relu2
// CHECK-NEXT: kern.mix
func.func @early(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>, %r: tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  %a = kern.relu2 %s : tensor<2x8xbf16>
  %m = kern.mix %s, %x resid %r skip %r layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
  return %a, %m : tensor<2x8xbf16>, tensor<2x8xbf16>
}

// CHECK-LABEL: func.func @itself
// CHECK: kern.product {{.*}} plus
// CHECK-NEXT: kern.backout
func.func @itself(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>, %one: tensor<1xf32>) -> tensor<2x8xbf16> {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  %b = kern.backout %s, %s lambda %one : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
  return %b : tensor<2x8xbf16>
}
