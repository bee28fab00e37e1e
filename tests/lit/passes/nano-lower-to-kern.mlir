// One launch per operation, two for attention; every operation that the five generations use. A ring holds
// min(max_seq = 16, window + 1) positions for 2 rows: 9 of a window of 8, 16 of a wider one and of full attention.
// RUN: nanocc-opt %s --nano-lower-to-kern | FileCheck %s

// CHECK-NOT: nano.cache
// CHECK-LABEL: kern.program @cpu precision "bf16"
// CHECK-DAG: kern.weight @wte : tensor<16x8xbf16> cast @wte
// CHECK-DAG: kern.weight @lambdas : tensor<2xf32> cast @lambdas
// CHECK-DAG: kern.rope_table @rope.{{.*}} : tensor<16x4xbf16> base 1.000000e+05
// CHECK-DAG: kern.rope_table @rope.{{.*}} : tensor<16x4xbf16> base 1.000000e+04
// CHECK-DAG: kern.cache @narrow : !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>
// CHECK-DAG: kern.cache @wide : !kern.kv<rows 2, heads 1, positions 16, dim 4, bf16>
// CHECK-DAG: kern.cache @full : !kern.kv<rows 2, heads 1, positions 16, dim 4, bf16>
// CHECK-DAG: kern.counters @sample.counters : tensor<2xui32>
// CHECK-LABEL: func.func @decode_2(
// CHECK-SAME: [[POS:%[^:]+]]: tensor<2xi32> {nano.binding = "positions"}
// CHECK-SAME: [[ROWS:%[^:]+]]: tensor<2xi32> {nano.binding = "rows"}
// CHECK-SAME: [[STARTS:%[^:]+]]: tensor<2xi32> {nano.binding = "starts"}
// CHECK-SAME: [[ENDS:%[^:]+]]: tensor<2xi32> {nano.binding = "ends"}
// CHECK: kern.embed
// CHECK: kern.rms_norm {{.*}} width 8
// CHECK: kern.embed
// CHECK: kern.smear
// CHECK: kern.mix {{.*}} layer 1 {{.*}}tensor<2xf32>
// CHECK: kern.rope {{.*}}, [[POS]]
// CHECK: kern.rope
// CHECK: kern.rms_norm {{.*}} width 4
// CHECK: kern.scale {{.*}} by 1.200000e+00
// CHECK: [[K:%.+]] = kern.product
// CHECK: [[V:%.+]] = kern.value_gate [[K]], {{.*}} range 3.000000e+00
// CHECK: [[RING:%.+]] = kern.ref @narrow
// CHECK: kern.attention {{.*}}, [[K]], [[V]] kv [[RING]] at [[ROWS]], [[POS]], [[STARTS]] window 8
// CHECK-NEXT: kern.kv_write [[K]], [[V]] at [[ROWS]], [[POS]], [[ENDS]] into [[RING]]
// CHECK: kern.attention {{.*}} window 16
// CHECK-NEXT: kern.kv_write
// CHECK: kern.attention {{.*}} window 16
// CHECK-NEXT: kern.kv_write
// CHECK: kern.add
// CHECK: kern.relu2
// CHECK: kern.backout
// CHECK: kern.last
// CHECK: kern.product {{.*}} -> tensor<2x16xf32>
// CHECK: [[COUNTERS:%.+]] = kern.ref @sample.counters
// CHECK: kern.sample {{.*}} counters [[COUNTERS]] vocab 10 cap 1.500000e+01
// No attention, so no rows, positions or lengths either.
// CHECK-LABEL: func.func @score_4(
// CHECK-NOT: "positions"
// CHECK: kern.softcap {{.*}} cap 0.000000e+00
// CHECK: kern.nll

// Another target has declarations of its own.
// CHECK-LABEL: kern.program @sm_90a
// CHECK-DAG: kern.weight @wte
// CHECK: func.func @decode_2

module attributes {nano.options = {targets = ["cpu", "sm_90a"], batches = array<i64: 1, 2>, prefill = array<i64: 4>, max_seq = 16, precision = "bf16", fuse = "all"}} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  nano.param @wk : tensor<4x8xbf16> from "wk"
  nano.param @ve : tensor<16x4xbf16> from "ve"
  nano.param @ve_gate : tensor<1x3xbf16> from "ve_gate"
  nano.param @smear_gate : tensor<1x3xbf16> from "smear_gate"
  nano.param @one : tensor<1xf32> from "one"
  nano.param @lambdas : tensor<2xbf16> from "lambdas"
  nano.cache @narrow heads 1 dim 4 window 8
  nano.cache @wide heads 1 dim 4 window 4294967296
  nano.cache @full heads 1 dim 4
  func.func @decode_2(%ids: tensor<2xi32> {nano.binding = "tokens"}, %prev: tensor<2xi32> {nano.binding = "prev"},
                      %last: tensor<2xi32> {nano.binding = "last"}, %steps: tensor<2xi32> {nano.binding = "steps"},
                      %words: tensor<8xui32> {nano.binding = "sampling"}) -> (tensor<2xi32> {nano.binding = "next"})
      attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %e = nano.embed %ids, @wte : tensor<2xi32> -> tensor<2x8xbf16>
    %u = nano.rms_norm %e : tensor<2x8xbf16>
    %f = nano.embed %prev, @wte : tensor<2xi32> -> tensor<2x8xbf16>
    %s = nano.smear %u, %f gate @smear_gate lambda @one : tensor<2x8xbf16>
    %x = nano.mix %s, %u resid @lambdas skip @lambdas layer 1 : tensor<2x8xbf16>
    %q = nano.rope %x heads 2 base 1.0e5 : tensor<2x8xbf16>
    %qo = nano.rope %q heads 2 base 1.0e4 bf16_table : tensor<2x8xbf16>
    %qn = nano.rms_norm %qo groups 2 : tensor<2x8xbf16>
    %qs = nano.scale %qn by 1.2 : tensor<2x8xbf16>
    %k = nano.linear %x, @wk : tensor<2x8xbf16> -> tensor<2x4xbf16>
    %v = nano.value_gate %k, %x, %ids table @ve gate @ve_gate range 3.0 : tensor<2x4xbf16>, tensor<2x8xbf16>, tensor<2xi32>
    %a = nano.attention %qs, %k, %v cache @narrow : tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>
    %b = nano.attention %a, %k, %v cache @wide : tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>
    %c = nano.attention %b, %k, %v cache @full : tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>
    %r = nano.add %x, %c : tensor<2x8xbf16>
    %m = nano.relu2 %r : tensor<2x8xbf16>
    %o = nano.backout %m, %x lambda @one : tensor<2x8xbf16>
    %y = nano.last %o, %last : tensor<2x8xbf16>, tensor<2xi32> -> tensor<2x8xbf16>
    %z = nano.linear %y, @wte : tensor<2x8xbf16> -> tensor<2x16xf32>
    %n = nano.sample %z, %last, %steps, %words vocab 10 cap 1.5e1 : tensor<2x16xf32>, tensor<2xi32>, tensor<8xui32>
    return %n : tensor<2xi32>
  }
  func.func @score_4(%ids: tensor<4xi32> {nano.binding = "tokens"}, %t: tensor<4xi32> {nano.binding = "targets"})
      -> (tensor<4xf32> {nano.binding = "nll"}, tensor<4x10xf32> {nano.binding = "logits"})
      attributes {nano.entry = {kind = "score", tokens = 4, rows = 1}} {
    %e = nano.embed %ids, @wte : tensor<4xi32> -> tensor<4x8xbf16>
    %z = nano.linear %e, @wte : tensor<4x8xbf16> -> tensor<4x16xf32>
    %l = nano.softcap %z : tensor<4x16xf32> -> tensor<4x10xf32>
    %n = nano.nll %l, %t : tensor<4x10xf32>, tensor<4xi32> -> tensor<4xf32>
    return %n, %l : tensor<4xf32>, tensor<4x10xf32>
  }
}
