// RUN: nanocc-opt %s --kern-fuse-embed | FileCheck %s

// CHECK-LABEL: kern.program @cpu
kern.program @cpu precision "bf16" {
  kern.weight @wte : tensor<16x8xbf16> cast @wte
  kern.weight @gate : tensor<1x4xbf16> cast @gate
  kern.weight @lambda : tensor<1xf32> cast @lambda
  kern.weight @lambdas : tensor<2xf32> cast @lambdas

  // Nothing but a norm.
  // CHECK-LABEL: func.func @norm
  // CHECK-NOT: kern.embed {{.*}}
  // CHECK: kern.embed {{.*}} norm : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
  // CHECK-NEXT: return
  func.func @norm(%ids: tensor<2xi32> {nano.binding = "tokens"}) -> tensor<2x8xbf16> {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 8 : tensor<2x8xbf16>
    return %u : tensor<2x8xbf16>
  }

  // The first mix goes along; later ones read x0 from the same launch.
  // CHECK-LABEL: func.func @mixed
  // CHECK: [[X0:%.+]], [[X:%.+]] = kern.embed {{.*}} norm mix resid {{.*}} skip {{.*}} layer 0
  // CHECK-NEXT: kern.mix [[X]], [[X0]] {{.*}} layer 1
  // CHECK-NEXT: return
  func.func @mixed(%ids: tensor<2xi32> {nano.binding = "tokens"}) -> tensor<2x8xbf16> {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 8 : tensor<2x8xbf16>
    %r = kern.ref @lambdas : tensor<2xf32>
    %x = kern.mix %u, %u resid %r skip %r layer 0 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    %y = kern.mix %x, %u resid %r skip %r layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    return %y : tensor<2x8xbf16>
  }

  // CHECK-LABEL: func.func @smeared
  // CHECK: [[X0:%.+]], [[X:%.+]] = kern.embed {{.*}} norm smear {{.*}} gate {{.*}} lambda {{.*}} mix resid {{.*}} skip {{.*}} layer 0
  // CHECK-NEXT: return [[X0]], [[X]]
  func.func @smeared(%ids: tensor<2xi32> {nano.binding = "tokens"}, %prev: tensor<2xi32> {nano.binding = "prev"})
      -> (tensor<2x8xbf16>, tensor<2x8xbf16>) {
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %gate = kern.ref @gate : tensor<1x4xbf16>
    %lambda = kern.ref @lambda : tensor<1xf32>
    %r = kern.ref @lambdas : tensor<2xf32>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %u = kern.rms_norm %e width 8 : tensor<2x8xbf16>
    %f = kern.embed %prev, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %p = kern.rms_norm %f width 8 : tensor<2x8xbf16>
    %s = kern.smear %u, %p gate %gate lambda %lambda : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1x4xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    %x = kern.mix %s, %s resid %r skip %r layer 0 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    return %s, %x : tensor<2x8xbf16>, tensor<2x8xbf16>
  }
}
