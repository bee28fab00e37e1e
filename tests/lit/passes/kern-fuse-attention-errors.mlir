// RUN: nanocc-opt %s --kern-fuse-attention -verify-diagnostics -split-input-file

kern.program @cpu precision "bf16" {
  kern.weight @q : tensor<16x16xbf16> cast @q
  kern.weight @k : tensor<8x16xbf16> cast @k
  kern.weight @v : tensor<8x16xbf16> cast @v
  kern.rope_table @rope : tensor<32x8xbf16> base 1.0e5
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
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
    %q2 = kern.rms_norm %q1 width 16 : tensor<2x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<2x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<2x8xbf16>, tensor<32x8xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<2x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<2x8xbf16>
    // expected-remark @+1 {{stays as it is: q and k are not linear layers with the same rotation, norm of heads and multiplier}}
    %a = kern.attention %q3, %k3, %v0 kv %kv at %rows, %pos, %starts window 8 : (tensor<2x16xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x16xbf16>
    kern.kv_write %k3, %v0 at %rows, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<2x16xbf16>
  }
}

// -----

kern.program @cpu precision "bf16" {
  kern.weight @q : tensor<16x16xbf16> cast @q
  kern.weight @k : tensor<8x16xbf16> cast @k
  kern.weight @v : tensor<8x16xbf16> cast @v
  kern.rope_table @rope : tensor<32x8xbf16> base 1.0e5
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
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
    // expected-remark @+1 {{'kern.attention' stays as it is: its keys and values are not what the ring gets}}
    %a = kern.attention %q3, %k3, %v0 kv %kv at %rows, %pos, %starts window 8 : (tensor<2x16xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x16xbf16>
    kern.kv_write %k3, %v0 at %pos, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<2x16xbf16>
  }
}

// -----

// One entry that cannot be fused keeps the others as they are: a weight is resident once.
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
    %q2 = kern.rms_norm %q1 width 16 : tensor<16x16xbf16>
    %q3 = kern.scale %q2 by 1.2 : tensor<16x16xbf16>
    %k1 = kern.rope %k0, %rope, %pos : (tensor<16x8xbf16>, tensor<32x8xbf16>, tensor<16xi32>) -> tensor<16x8xbf16>
    %k2 = kern.rms_norm %k1 width 8 : tensor<16x8xbf16>
    %k3 = kern.scale %k2 by 1.2 : tensor<16x8xbf16>
    // expected-remark @+1 {{stays as it is: q and k are not}}
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
    // expected-remark @+1 {{stays as it is: other launches read the matrices of q, k or v}}
    %a = kern.attention %q3, %k3, %v0 kv %kv at %rows, %pos, %starts window 8 : (tensor<2x16xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x16xbf16>
    kern.kv_write %k3, %v0 at %rows, %pos, %ends into %kv : tensor<2x8xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 8, bf16>
    return %a : tensor<2x16xbf16>
  }
}
