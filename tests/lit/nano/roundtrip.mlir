// RUN: nanocc-opt %s --verify-roundtrip | FileCheck %s

// CHECK: module attributes {nano.model = {{.*}}, nano.tokenizer = "t.json", nano.weights = "w.safetensors"}
module attributes {nano.model = {name = "m", layers = 2, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16},
                   nano.tokenizer = "t.json", nano.weights = "w.safetensors"} {
  // CHECK: nano.param @wte : tensor<16x8xbf16> from "transformer.wte.weight"
  nano.param @wte : tensor<16x8xbf16> from "transformer.wte.weight"
  nano.param @ve : tensor<16x4xbf16> from "ve"
  nano.param @ve_gate : tensor<1x3xbf16> from "ve_gate"
  nano.param @smear_gate : tensor<1x3xf32> from "smear_gate"
  nano.param @one : tensor<1xf32> from "one"
  nano.param @lambdas : tensor<2xf32> from "lambdas"
  nano.param @w : tensor<8x8xbf16> from "w"
  nano.param @wk : tensor<4x8xbf16> from "wk"
  nano.param @head : tensor<16x8xbf16> from "head"
  // CHECK: nano.cache @kv.0 heads 1 dim 4 window 8
  nano.cache @kv.0 heads 1 dim 4 window 8
  // CHECK: nano.cache @kv.1 heads 1 dim 4{{$}}
  nano.cache @kv.1 heads 1 dim 4

  // CHECK-LABEL: func.func @forward
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x10xf32> {
    // CHECK: [[E:%.+]] = nano.embed %{{.*}}, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // CHECK: [[U:%.+]] = nano.rms_norm [[E]] : tensor<?x?x8xf32>
    %u = nano.rms_norm %e : tensor<?x?x8xf32>
    // CHECK: nano.previous %{{.*}} : tensor<?x?xi32>
    %p = nano.previous %ids : tensor<?x?xi32>
    %f = nano.embed %p, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // CHECK: [[S:%.+]] = nano.smear [[U]], {{.*}} gate @smear_gate lambda @one : tensor<?x?x8xf32>
    %s = nano.smear %u, %f gate @smear_gate lambda @one : tensor<?x?x8xf32>
    // CHECK: nano.mix {{.*}} resid @lambdas skip @lambdas layer 1 : tensor<?x?x8xf32>
    %x = nano.mix %s, %u resid @lambdas skip @lambdas layer 1 : tensor<?x?x8xf32>
    // CHECK: nano.linear {{.*}}, @w : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    %q = nano.linear %x, @w : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    %k = nano.linear %x, @wk : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
    // CHECK: nano.rope {{.*}} heads 2 base 1.000000e+05 : tensor<?x?x8xf32>
    %qr = nano.rope %q heads 2 base 1.0e5 : tensor<?x?x8xf32>
    // CHECK: nano.rope {{.*}} heads 1 base 1.000000e+04 bf16_table : tensor<?x?x4xf32>
    %kr = nano.rope %k heads 1 base 1.0e4 bf16_table : tensor<?x?x4xf32>
    // CHECK: nano.rms_norm {{.*}} groups 2 : tensor<?x?x8xf32>
    %qn = nano.rms_norm %qr groups 2 : tensor<?x?x8xf32>
    // CHECK: nano.scale {{.*}} by 1.200000e+00 : tensor<?x?x8xf32>
    %qs = nano.scale %qn by 1.2 : tensor<?x?x8xf32>
    // CHECK: nano.value_gate {{.*}} table @ve gate @ve_gate range 3.000000e+00 : tensor<?x?x4xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>
    %v = nano.value_gate %k, %x, %ids table @ve gate @ve_gate range 3.0 : tensor<?x?x4xf32>, tensor<?x?x8xf32>, tensor<?x?xi32>
    // CHECK: nano.attention {{.*}} cache @kv.0 : tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
    %a = nano.attention %qs, %kr, %v cache @kv.0 : tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
    // CHECK: nano.add {{.*}} : tensor<?x?x8xf32>
    %r = nano.add %x, %a : tensor<?x?x8xf32>
    // CHECK: nano.relu2 {{.*}} : tensor<?x?x8xf32>
    %m = nano.relu2 %r : tensor<?x?x8xf32>
    // CHECK: nano.backout {{.*}} lambda @one : tensor<?x?x8xf32>
    %b = nano.backout %m, %x lambda @one : tensor<?x?x8xf32>
    %z = nano.linear %b, @head : tensor<?x?x8xf32> -> tensor<?x?x16xf32>
    // CHECK: nano.softcap {{.*}} cap 1.500000e+01 : tensor<?x?x16xf32> -> tensor<?x?x10xf32>
    %l = nano.softcap %z cap 1.5e1 : tensor<?x?x16xf32> -> tensor<?x?x10xf32>
    return %l : tensor<?x?x10xf32>
  }

  // CHECK-LABEL: func.func @prefill
  // CHECK-SAME: nano.binding = "last"
  // CHECK-SAME: attributes {nano.entry = {kind = "prefill", rows = 2 : i64, tokens = 4 : i64}}
  func.func @prefill(%z: tensor<4x16xf32>, %index: tensor<2xi32> {nano.binding = "last"}, %steps: tensor<2xi32>,
                     %words: tensor<8xui32>, %targets: tensor<4xi32>) -> (tensor<2xi32>, tensor<4xf32>)
      attributes {nano.entry = {kind = "prefill", tokens = 4, rows = 2}} {
    // CHECK: nano.last {{.*}} : tensor<4x16xf32>, tensor<2xi32> -> tensor<2x16xf32>
    %y = nano.last %z, %index : tensor<4x16xf32>, tensor<2xi32> -> tensor<2x16xf32>
    // CHECK: nano.sample {{.*}} vocab 10 cap 1.500000e+01 : tensor<2x16xf32>, tensor<2xi32>, tensor<8xui32>
    %next = nano.sample %y, %index, %steps, %words vocab 10 cap 1.5e1 : tensor<2x16xf32>, tensor<2xi32>, tensor<8xui32>
    // CHECK: nano.softcap %{{[^ ]+}} : tensor<4x16xf32> -> tensor<4x10xf32>
    %l = nano.softcap %z : tensor<4x16xf32> -> tensor<4x10xf32>
    // CHECK: nano.nll {{.*}} : tensor<4x10xf32>, tensor<4xi32> -> tensor<4xf32>
    %n = nano.nll %l, %targets : tensor<4x10xf32>, tensor<4xi32> -> tensor<4xf32>
    return %next, %n : tensor<2xi32>, tensor<4xf32>
  }
}
