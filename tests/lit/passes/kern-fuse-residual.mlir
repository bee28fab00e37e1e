// RUN: nanocc-opt %s --kern-fuse-residual | FileCheck %s

// CHECK-LABEL: func.func @sum
// CHECK: kern.product %{{.+}}, %{{.+}} plus %{{.+}} : (tensor<2x16xbf16>, tensor<8x16xbf16>, tensor<2x8xbf16>) -> tensor<2x8xbf16>
// CHECK-NEXT: return
func.func @sum(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>) -> tensor<2x8xbf16> {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  return %s : tensor<2x8xbf16>
}

// CHECK-LABEL: func.func @mixed
// CHECK: kern.product %{{.+}}, %{{.+}} plus %{{.+}} mix %{{.+}} resid %{{.+}} skip %{{.+}} layer 1
// CHECK-NEXT: return
func.func @mixed(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>, %x0: tensor<2x8xbf16>, %r: tensor<2xf32>) -> tensor<2x8xbf16> {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  %m = kern.mix %s, %x0 resid %r skip %r layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
  return %m : tensor<2x8xbf16>
}

// The middle layer: its sum is wanted at the end again, where another sum takes the backout.
// CHECK-LABEL: func.func @middle
// CHECK: [[SUM:%.+]], [[MIX:%.+]] = kern.product %{{.+}}, %{{.+}} plus %{{.+}} mix %{{.+}} resid %{{.+}} skip %{{.+}} layer 1
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} plus [[MIX]] without [[SUM]] lambda
// CHECK-NEXT: return
func.func @middle(%h: tensor<2x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<2x8xbf16>, %x0: tensor<2x8xbf16>, %r: tensor<2xf32>, %one: tensor<1xf32>) -> tensor<2x8xbf16> {
  %l = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %s = kern.add %x, %l : tensor<2x8xbf16>
  %m = kern.mix %s, %x0 resid %r skip %r layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
  %k = kern.product %h, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %t = kern.add %m, %k : tensor<2x8xbf16>
  %b = kern.backout %t, %s lambda %one : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
  return %b : tensor<2x8xbf16>
}

// Many slots: the product's family follows from them.
// CHECK-LABEL: func.func @many
// CHECK: kern.product %{{.+}}, %{{.+}} plus %{{.+}} : (tensor<9x16xbf16>
// CHECK-NEXT: return
func.func @many(%h: tensor<9x16xbf16>, %w: tensor<8x16xbf16>, %x: tensor<9x8xbf16>) -> tensor<9x8xbf16> {
  %l = kern.product %h, %w : (tensor<9x16xbf16>, tensor<8x16xbf16>) -> tensor<9x8xbf16>
  %s = kern.add %x, %l : tensor<9x8xbf16>
  return %s : tensor<9x8xbf16>
}
