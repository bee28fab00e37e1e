// RUN: nanocc-opt %s --kern-fuse-attention --split-input-file | FileCheck %s

// Decode in one launch up to the ring, prefill up to the attention; both read one constant.
// CHECK-LABEL: kern.program @cpu
// CHECK: kern.weight @q.qkv : tensor<32x16xbf16> cast @q, @k, @v
// CHECK-NOT: kern.weight
// CHECK-LABEL: func.func @prefill_16
// CHECK: [[N:%.+]] = kern.rms_norm
// CHECK: [[W:%.+]] = kern.ref @q.qkv : tensor<32x16xbf16>
// CHECK: [[QKV:%.+]] = kern.product [[N]], [[W]] : (tensor<16x16xbf16>, tensor<32x16xbf16>) -> tensor<16x32xbf16>
// CHECK-NEXT: [[Q:%.+]], [[K:%.+]], [[V:%.+]] = kern.prepare_qkv [[QKV]] table %{{.+}} at %{{.+}} mult 1.200000e+00
// CHECK-NEXT: kern.attention [[Q]], [[K]], [[V]] kv
// CHECK-NEXT: kern.kv_write [[K]], [[V]] at
// CHECK-NEXT: return
// CHECK-LABEL: func.func @decode_2
// CHECK: kern.rms_norm
// CHECK: kern.product {{.*}} -> tensor<2x32xbf16>
// CHECK-NOT: kern.attention{{ }}
// CHECK: kern.attention_step {{.*}} mult 1.200000e+00 window 8 :
// CHECK-NEXT: return
kern.program @cpu precision "bf16" {
  kern.weight @q : tensor<16x16xbf16> cast @q
  kern.weight @k : tensor<8x16xbf16> cast @k
  kern.weight @v : tensor<8x16xbf16> cast @v
  kern.rope_table @rope : tensor<32x8xbf16> base 1.0e5
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
  func.func @prefill_16(%x: tensor<16x16xbf16>, %ids: tensor<16xi32>, %rows: tensor<16xi32>, %pos: tensor<16xi32>, %starts: tensor<2xi32>, %ends: tensor<2xi32>) -> tensor<16x16xbf16> attributes {nano.entry = {kind = "prefill", tokens = 16, rows = 2}} {
    %wq = kern.ref @q : tensor<16x16xbf16>
    %wk = kern.ref @k : tensor<8x16xbf16>
    %wv = kern.ref @v : tensor<8x16xbf16>
    %rope = kern.ref @rope : tensor<32x8xbf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    %n = kern.rms_norm %x width 16 : tensor<16x16xbf16>
    %q0 = kern.product %n, %wq : (tensor<16x16xbf16>, tensor<16x16xbf16>) -> tensor<16x16xbf16>
    %k0 = kern.product %n, %wk : (tensor<16x16xbf16>, tensor<8x16xbf16>) -> tensor<16x8xbf16>
    %v0 = kern.product %n, %wv : (tensor<16x16xbf16>, tensor<8x16xbf16>) -> tensor<16x8xbf16>
    %q1 = kern.rope %q0, %rope, %pos : (tensor<16x16xbf16>, tensor<32x8xbf16>, tensor<16xi32>) -> tensor<16x16xbf16>
    %q2 = kern.rms_norm %q1 width 8 : tensor<16x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<16x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<16x8xbf16>, tensor<32x8xbf16>, tensor<16xi32>) -> tensor<16x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<16x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<16x8xbf16>
    %a = kern.attention %q3, %k3, %v0 kv %kv at %rows, %pos, %starts window 8 : (tensor<16x16xbf16>, tensor<16x8xbf16>, tensor<16x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<16xi32>, tensor<16xi32>, tensor<2xi32>) -> tensor<16x16xbf16>
    kern.kv_write %k3, %v0 at %rows, %pos, %ends into %kv : tensor<16x8xbf16>, tensor<16xi32>, tensor<16xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<16x16xbf16>
  }
  func.func @decode_2(%x: tensor<2x16xbf16>, %ids: tensor<2xi32>, %rows: tensor<2xi32>, %pos: tensor<2xi32>, %starts: tensor<2xi32>, %ends: tensor<2xi32>) -> tensor<2x16xbf16> attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %wq = kern.ref @q : tensor<16x16xbf16>
    %wk = kern.ref @k : tensor<8x16xbf16>
    %wv = kern.ref @v : tensor<8x16xbf16>
    %rope = kern.ref @rope : tensor<32x8xbf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    %n = kern.rms_norm %x width 16 : tensor<2x16xbf16>
    %q0 = kern.product %n, %wq : (tensor<2x16xbf16>, tensor<16x16xbf16>) -> tensor<2x16xbf16>
    %k0 = kern.product %n, %wk : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
    %v0 = kern.product %n, %wv : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
    %q1 = kern.rope %q0, %rope, %pos : (tensor<2x16xbf16>, tensor<32x8xbf16>, tensor<2xi32>) -> tensor<2x16xbf16>
    %q2 = kern.rms_norm %q1 width 8 : tensor<2x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<2x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<2x8xbf16>, tensor<32x8xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<2x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<2x8xbf16>
    %a = kern.attention %q3, %k3, %v0 kv %kv at %rows, %pos, %starts window 8 : (tensor<2x16xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x16xbf16>
    kern.kv_write %k3, %v0 at %rows, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<2x16xbf16>
  }
}

// -----

// The value gate goes with them and takes the residual before its norm.
// CHECK-LABEL: func.func @score_16
// CHECK-SAME: [[X:%[a-z0-9]+]]: tensor<16x16xbf16>
// CHECK: kern.prepare_qkv %{{.+}} table %{{.+}} at %{{.+}} gate %{{.+}} of [[X]] embeds %{{.+}} of %{{.+}} range 3.000000e+00 mult 1.200000e+00
// CHECK-NEXT: kern.attention{{ }}
// CHECK-LABEL: func.func @decode_2
// CHECK: kern.attention_step
kern.program @cpu precision "bf16" {
  kern.weight @q : tensor<16x16xbf16> cast @q
  kern.weight @k : tensor<8x16xbf16> cast @k
  kern.weight @v : tensor<8x16xbf16> cast @v
  kern.rope_table @rope : tensor<32x8xbf16> base 1.0e5
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
  kern.weight @ve : tensor<64x8xbf16> cast @ve
  kern.weight @gate : tensor<1x4xbf16> cast @gate
  func.func @score_16(%x: tensor<16x16xbf16>, %ids: tensor<16xi32>, %rows: tensor<16xi32>, %pos: tensor<16xi32>, %starts: tensor<2xi32>, %ends: tensor<2xi32>) -> tensor<16x16xbf16> attributes {nano.entry = {kind = "score", tokens = 16, rows = 2}} {
    %wq = kern.ref @q : tensor<16x16xbf16>
    %wk = kern.ref @k : tensor<8x16xbf16>
    %wv = kern.ref @v : tensor<8x16xbf16>
    %rope = kern.ref @rope : tensor<32x8xbf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    %ve = kern.ref @ve : tensor<64x8xbf16>
    %gate = kern.ref @gate : tensor<1x4xbf16>
    %n = kern.rms_norm %x width 16 : tensor<16x16xbf16>
    %q0 = kern.product %n, %wq : (tensor<16x16xbf16>, tensor<16x16xbf16>) -> tensor<16x16xbf16>
    %k0 = kern.product %n, %wk : (tensor<16x16xbf16>, tensor<8x16xbf16>) -> tensor<16x8xbf16>
    %v0 = kern.product %n, %wv : (tensor<16x16xbf16>, tensor<8x16xbf16>) -> tensor<16x8xbf16>
    %v1 = kern.value_gate %v0, %n, %ids table %ve gate %gate range 3.0 : (tensor<16x8xbf16>, tensor<16x16xbf16>, tensor<16xi32>, tensor<64x8xbf16>, tensor<1x4xbf16>) -> tensor<16x8xbf16>
    %q1 = kern.rope %q0, %rope, %pos : (tensor<16x16xbf16>, tensor<32x8xbf16>, tensor<16xi32>) -> tensor<16x16xbf16>
    %q2 = kern.rms_norm %q1 width 8 : tensor<16x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<16x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<16x8xbf16>, tensor<32x8xbf16>, tensor<16xi32>) -> tensor<16x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<16x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<16x8xbf16>
    %a = kern.attention %q3, %k3, %v1 kv %kv at %rows, %pos, %starts window 8 : (tensor<16x16xbf16>, tensor<16x8xbf16>, tensor<16x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<16xi32>, tensor<16xi32>, tensor<2xi32>) -> tensor<16x16xbf16>
    kern.kv_write %k3, %v1 at %rows, %pos, %ends into %kv : tensor<16x8xbf16>, tensor<16xi32>, tensor<16xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<16x16xbf16>
  }
  func.func @decode_2(%x: tensor<2x16xbf16>, %ids: tensor<2xi32>, %rows: tensor<2xi32>, %pos: tensor<2xi32>, %starts: tensor<2xi32>, %ends: tensor<2xi32>) -> tensor<2x16xbf16> attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %wq = kern.ref @q : tensor<16x16xbf16>
    %wk = kern.ref @k : tensor<8x16xbf16>
    %wv = kern.ref @v : tensor<8x16xbf16>
    %rope = kern.ref @rope : tensor<32x8xbf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    %ve = kern.ref @ve : tensor<64x8xbf16>
    %gate = kern.ref @gate : tensor<1x4xbf16>
    %n = kern.rms_norm %x width 16 : tensor<2x16xbf16>
    %q0 = kern.product %n, %wq : (tensor<2x16xbf16>, tensor<16x16xbf16>) -> tensor<2x16xbf16>
    %k0 = kern.product %n, %wk : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
    %v0 = kern.product %n, %wv : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
    %v1 = kern.value_gate %v0, %n, %ids table %ve gate %gate range 3.0 : (tensor<2x8xbf16>, tensor<2x16xbf16>, tensor<2xi32>, tensor<64x8xbf16>, tensor<1x4xbf16>) -> tensor<2x8xbf16>
    %q1 = kern.rope %q0, %rope, %pos : (tensor<2x16xbf16>, tensor<32x8xbf16>, tensor<2xi32>) -> tensor<2x16xbf16>
    %q2 = kern.rms_norm %q1 width 8 : tensor<2x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<2x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<2x8xbf16>, tensor<32x8xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<2x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<2x8xbf16>
    %a = kern.attention %q3, %k3, %v1 kv %kv at %rows, %pos, %starts window 8 : (tensor<2x16xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x16xbf16>
    kern.kv_write %k3, %v1 at %rows, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<2x16xbf16>
  }
}
