// Entry points of two buckets (4 and 16 tokens) and two batches (1 and 3): state is always for 3 rows in prefill, for the
// batch in decode, and for one row in score, whose slots are min(128, max_seq = 16).
// RUN: nanocc-opt %s --nano-fix-shapes | FileCheck %s

// CHECK: nano.model = {{.*}}max_seq = 16
// CHECK-NOT: @forward
// CHECK-NOT: nano.previous

// CHECK-LABEL: func.func @prefill_4(
// CHECK-SAME: [[IDS:%[^:]+]]: tensor<4xi32> {nano.binding = "tokens"}
// CHECK-SAME: [[PREV:%[^:]+]]: tensor<4xi32> {nano.binding = "prev"}
// CHECK-SAME: [[LAST:%[^:]+]]: tensor<3xi32> {nano.binding = "last"}
// CHECK-SAME: [[STEPS:%[^:]+]]: tensor<3xi32> {nano.binding = "steps"}
// CHECK-SAME: [[WORDS:%[^:]+]]: tensor<8xui32> {nano.binding = "sampling"}
// CHECK-SAME: -> (tensor<3xi32> {nano.binding = "next"}) attributes {nano.entry = {kind = "prefill", rows = 3 : i64, tokens = 4 : i64}}
// CHECK: nano.embed [[IDS]], @wte : tensor<4xi32> -> tensor<4x8xf32>
// CHECK: nano.embed [[PREV]], @wte
// CHECK: [[Z:%.+]] = nano.linear {{.*}}, @head
// CHECK-NOT: nano.softcap
// CHECK: [[ROWS:%.+]] = nano.last [[Z]], [[LAST]] : tensor<4x16xf32>, tensor<3xi32> -> tensor<3x16xf32>
// CHECK: [[NEXT:%.+]] = nano.sample [[ROWS]], [[LAST]], [[STEPS]], [[WORDS]] vocab 10 cap 1.500000e+01
// CHECK: return [[NEXT]]

// CHECK-LABEL: func.func @prefill_16(
// CHECK-SAME: tensor<16xi32> {nano.binding = "tokens"}
// CHECK-SAME: tensor<3xi32> {nano.binding = "last"}

// CHECK-LABEL: func.func @decode_1(
// CHECK-SAME: {kind = "decode", rows = 1 : i64, tokens = 1 : i64}
// CHECK-NOT: nano.last
// CHECK: nano.sample {{.*}} : tensor<1x16xf32>

// CHECK-LABEL: func.func @decode_3(
// CHECK-SAME: {kind = "decode", rows = 3 : i64, tokens = 3 : i64}
// CHECK: nano.sample {{.*}} : tensor<3x16xf32>

// CHECK-LABEL: func.func @score_16(
// CHECK-SAME: [[TARGETS:%[^:]+]]: tensor<16xi32> {nano.binding = "targets"}
// CHECK-SAME: -> (tensor<16xf32> {nano.binding = "nll"}, tensor<16x10xf32> {nano.binding = "logits"})
// CHECK-SAME: {kind = "score", rows = 1 : i64, tokens = 16 : i64}
// CHECK: [[LOGITS:%.+]] = nano.softcap {{.*}} : tensor<16x16xf32> -> tensor<16x10xf32>
// CHECK: [[NLL:%.+]] = nano.nll [[LOGITS]], [[TARGETS]]
// CHECK: return [[NLL]], [[LOGITS]]

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1, 3>, prefill = array<i64: 4, 16>, max_seq = 16, precision = "f32", fuse = "all"}} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  nano.param @head : tensor<16x8xbf16> from "head"
  nano.param @k : tensor<4x8xbf16> from "k"
  nano.cache @kv heads 1 dim 4 window 8
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x10xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %p = nano.previous %ids : tensor<?x?xi32>
    %f = nano.embed %p, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %x = nano.add %e, %f : tensor<?x?x8xf32>
    %k = nano.linear %x, @k : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
    %a = nano.attention %x, %k, %k cache @kv : tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
    %z = nano.linear %a, @head : tensor<?x?x8xf32> -> tensor<?x?x16xf32>
    %l = nano.softcap %z cap 1.5e1 : tensor<?x?x16xf32> -> tensor<?x?x10xf32>
    return %l : tensor<?x?x10xf32>
  }
}
