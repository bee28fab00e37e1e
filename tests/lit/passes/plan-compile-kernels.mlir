// REQUIRES: nvrtc
// RUN: nanocc-opt %s --kern-lower-to-plan --plan-compile-kernels | FileCheck %s
// RUN: nanocc-opt %s --kern-lower-to-plan --plan-compile-kernels > %t.1
// RUN: nanocc-opt %s --kern-lower-to-plan --plan-compile-kernels > %t.2
// RUN: cmp %t.1 %t.2

// CHECK-LABEL: plan.program @sm_90a
// CHECK: plan.kernel @relu2_simt_bf16 {{.*}} cubin dense_resource<sm_90a.relu2_simt_bf16> : tensor<{{[0-9]+}}xui8>
kern.program @sm_90a precision "bf16" {
  func.func @decode_2(%x: tensor<2x8xbf16> {nano.binding = "x"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %y = kern.relu2 %x : tensor<2x8xbf16>
    return
  }
}

// A cpu program has no source, so no machine code.
// CHECK-LABEL: plan.program @cpu
// CHECK: plan.kernel @relu2_reference_bf16 meaning "relu2" {T = bf16}{{$}}
kern.program @cpu precision "bf16" {
  func.func @decode_2(%x: tensor<2x8xbf16> {nano.binding = "x"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %y = kern.relu2 %x : tensor<2x8xbf16>
    return
  }
}
