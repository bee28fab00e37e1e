// The pass has no diagnostics: what it does not know stays as it is.
// RUN: nanocc-opt %s --kern-fuse-norm-linear | FileCheck %s

// The norm of heads is no factor of the whole sum.
// CHECK-LABEL: func.func @heads
// CHECK-NEXT: kern.rms_norm %{{.+}} width 8
// CHECK-NEXT: kern.product
func.func @heads(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xbf16> {
  %n = kern.rms_norm %x width 8 : tensor<2x16xbf16>
  %l = kern.product %n, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  return %l : tensor<2x8xbf16>
}

// CHECK-LABEL: func.func @library
// CHECK-NEXT: kern.rms_norm
// CHECK-NEXT: kern.product {{.*}} by {engine = "cublaslt"}
func.func @library(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xbf16> {
  %n = kern.rms_norm %x width 16 : tensor<2x16xbf16>
  %l = kern.product %n, %w by {engine = "cublaslt"} : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  return %l : tensor<2x8xbf16>
}
