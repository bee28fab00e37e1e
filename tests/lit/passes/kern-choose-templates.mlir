// RUN: nanocc-opt %s --kern-choose-templates | FileCheck %s

// CHECK-LABEL: kern.program @sm_90a
// CHECK: kern.linear {{.*}} library "cublaslt"
kern.program @sm_90a precision "bf16" {
  func.func @f(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x8xbf16> {
    %r = kern.relu2 %x : tensor<2x8xbf16>
    %0 = kern.linear %r, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    return %0 : tensor<2x8xbf16>
  }
}
