// The pass has no diagnostics: what it does not know stays as it is.
// RUN: nanocc-opt %s --kern-fuse-embed | FileCheck %s

// CHECK-LABEL: kern.program @cpu
kern.program @cpu precision "bf16" {
  kern.weight @wte : tensor<16x8xbf16> cast @wte
  kern.weight @other : tensor<16x8xbf16> cast @other
  kern.weight @gate : tensor<1x4xbf16> cast @gate
  kern.weight @lambda : tensor<1xf32> cast @lambda
  kern.weight @lambdas : tensor<2xf32> cast @lambdas

  // Norms of heads, and an embedding that another launch reads raw.
  // CHECK-LABEL: func.func @norms
  // CHECK: kern.embed {{.*}}
  // CHECK-NEXT: kern.rms_norm {{.*}} width 4
  // CHECK-NEXT: kern.embed {{.*}}
  // CHECK-NEXT: kern.rms_norm {{.*}} width 8
  // CHECK-NEXT: kern.add
  func.func @norms(%ids: tensor<2xi32> {nano.binding = "tokens"}) -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 4 : tensor<2x8xbf16>
    %f = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %v = kern.rms_norm %f width 8 : tensor<2x8xbf16>
    %s = kern.add %f, %v : tensor<2x8xbf16>
    return %u, %s : tensor<2x8xbf16>, tensor<2x8xbf16>
  }

  // Two tables.
  // CHECK-LABEL: func.func @tables
  // CHECK: kern.smear
  // CHECK-NEXT: kern.mix
  func.func @tables(%ids: tensor<2xi32> {nano.binding = "tokens"}, %prev: tensor<2xi32> {nano.binding = "prev"})
      -> tensor<2x8xbf16> {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %other = kern.ref @other : tensor<16x8xbf16>
    %gate = kern.ref @gate : tensor<1x4xbf16>
    %lambda = kern.ref @lambda : tensor<1xf32>
    %r = kern.ref @lambdas : tensor<2xf32>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 8 : tensor<2x8xbf16>
    %f = kern.embed %prev, %other : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %p = kern.rms_norm %f width 8 : tensor<2x8xbf16>
    %s = kern.smear %u, %p gate %gate lambda %lambda : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1x4xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    %x = kern.mix %s, %s resid %r skip %r layer 0 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    return %x : tensor<2x8xbf16>
  }

  // x0 is wanted before the mix.
  // CHECK-LABEL: func.func @early
  // CHECK: kern.embed {{.*}} norm 
  // CHECK-NEXT: kern.relu2
  // CHECK-NEXT: kern.mix
  func.func @early(%ids: tensor<2xi32> {nano.binding = "tokens"}) -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %r = kern.ref @lambdas : tensor<2xf32>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 8 : tensor<2x8xbf16>
    %a = kern.relu2 %u : tensor<2x8xbf16>
    %x = kern.mix %u, %u resid %r skip %r layer 0 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    return %a, %x : tensor<2x8xbf16>, tensor<2x8xbf16>
  }
}
