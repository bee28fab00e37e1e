// The pass has no diagnostics: what it does not know stays as it is.
// RUN: nanocc-opt %s --kern-fuse-activation | FileCheck %s

// The product is wanted by itself.
// CHECK-LABEL: func.func @shared
// CHECK-NEXT: kern.product
// CHECK-NEXT: kern.relu2
func.func @shared(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
  %l = kern.product %x, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %r = kern.relu2 %l : tensor<2x8xbf16>
  return %l, %r : tensor<2x8xbf16>, tensor<2x8xbf16>
}

// CHECK-LABEL: func.func @library
// CHECK-NEXT: kern.product {{.*}} by {engine = "cublaslt"}
// CHECK-NEXT: kern.relu2
func.func @library(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xbf16> {
  %l = kern.product %x, %w by {engine = "cublaslt"} : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %r = kern.relu2 %l : tensor<2x8xbf16>
  return %r : tensor<2x8xbf16>
}

// Once is all there is of it.
// CHECK-LABEL: func.func @twice
// CHECK-NEXT: kern.product {{.*}} relu2
// CHECK-NEXT: kern.relu2
func.func @twice(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xbf16> {
  %l = kern.product %x, %w relu2 : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %r = kern.relu2 %l : tensor<2x8xbf16>
  return %r : tensor<2x8xbf16>
}
