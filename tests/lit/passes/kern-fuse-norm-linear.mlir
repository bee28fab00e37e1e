// RUN: nanocc-opt %s --kern-fuse-norm-linear | FileCheck %s

// Few slots and many: the product's family follows from them.
// CHECK-LABEL: func.func @few
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} norm : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xf32>
// CHECK-NEXT: return
func.func @few(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xf32> {
  %n = kern.rms_norm %x width 16 : tensor<2x16xbf16>
  %l = kern.product %n, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xf32>
  return %l : tensor<2x8xf32>
}

// CHECK-LABEL: func.func @many
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} norm : (tensor<512x16xbf16>, tensor<8x16xbf16>) -> tensor<512x8xbf16>
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} norm : (tensor<512x16xbf16>, tensor<4x16xbf16>) -> tensor<512x4xbf16>
// CHECK-NEXT: return
func.func @many(%x: tensor<512x16xbf16>, %w: tensor<8x16xbf16>, %v: tensor<4x16xbf16>) -> (tensor<512x8xbf16>, tensor<512x4xbf16>) {
  %n = kern.rms_norm %x width 16 : tensor<512x16xbf16>
  %l = kern.product %n, %w : (tensor<512x16xbf16>, tensor<8x16xbf16>) -> tensor<512x8xbf16>
  %m = kern.product %n, %v : (tensor<512x16xbf16>, tensor<4x16xbf16>) -> tensor<512x4xbf16>
  return %l, %m : tensor<512x8xbf16>, tensor<512x4xbf16>
}

// The norm is wanted by itself as well.
// CHECK-LABEL: func.func @shared
// CHECK-NEXT: kern.rms_norm
// CHECK-NEXT: kern.product {{.*}} norm
func.func @shared(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> (tensor<2x8xbf16>, tensor<2x16xbf16>) {
  %n = kern.rms_norm %x width 16 : tensor<2x16xbf16>
  %l = kern.product %n, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  return %l, %n : tensor<2x8xbf16>, tensor<2x16xbf16>
}
