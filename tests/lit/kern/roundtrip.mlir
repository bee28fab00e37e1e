// RUN: nanocc-opt %s --verify-roundtrip | FileCheck %s

nano.param @w : tensor<8x8xbf16> from "w"

// CHECK: kern.program @cpu precision "bf16" {
kern.program @cpu precision "bf16" {
  // CHECK: kern.weight @w : tensor<8x8xbf16> cast @w
  kern.weight @w : tensor<8x8xbf16> cast @w
  // CHECK: kern.weight @narrow : tensor<8x8xf8E4M3FN> cast @w
  kern.weight @narrow : tensor<8x8xf8E4M3FN> cast @w
  kern.weight @wte : tensor<16x8xbf16> cast @wte
  kern.weight @ve : tensor<16x4xbf16> cast @ve
  kern.weight @gate : tensor<1x4xbf16> cast @gate
  kern.weight @lambda : tensor<1xf32> cast @lambda
  kern.weight @lambdas : tensor<2xf32> cast @lambdas
  // CHECK: kern.rope_table @rope : tensor<32x4xf32> base 1.000000e+05
  kern.rope_table @rope : tensor<32x4xf32> base 1.0e5
  // CHECK: kern.counters @counters : tensor<2xui32>
  kern.counters @counters : tensor<2xui32>
  kern.counters @ticket : tensor<1xui32>
  // CHECK: kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>

  // CHECK-LABEL: func.func @decode_2
  func.func @decode_2(%ids: tensor<2xi32>, %index: tensor<2xi32>, %steps: tensor<2xi32>, %words: tensor<8xui32>,
                      %rows: tensor<2xi32>, %pos: tensor<2xi32>, %starts: tensor<2xi32>, %ends: tensor<2xi32>) {
    // CHECK: kern.ref @wte : tensor<16x8xbf16>
    %wte = kern.ref @wte : tensor<16x8xbf16>
    %w = kern.ref @w : tensor<8x8xbf16>
    %ve = kern.ref @ve : tensor<16x4xbf16>
    %gate = kern.ref @gate : tensor<1x4xbf16>
    %lambda = kern.ref @lambda : tensor<1xf32>
    %lambdas = kern.ref @lambdas : tensor<2xf32>
    %rope = kern.ref @rope : tensor<32x4xf32>
    // CHECK: kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>
    // CHECK: kern.embed {{.*}} : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    %e = kern.embed %ids, %wte : (tensor<2xi32>, tensor<16x8xbf16>) -> tensor<2x8xbf16>
    // CHECK: kern.rms_norm {{.*}} width 4 : tensor<2x8xbf16>
    %u = kern.rms_norm %e width 4 : tensor<2x8xbf16>
    // CHECK: kern.smear {{.*}} gate {{.*}} lambda {{.*}} : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1x4xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    %s = kern.smear %u, %u gate %gate lambda %lambda : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1x4xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    // CHECK: kern.product %{{[^ ]+}}, %{{[^ ]+}} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xf32>
    %l = kern.product %s, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xf32>
    // CHECK: kern.ref @narrow : tensor<8x8xf8E4M3FN>
    %narrow = kern.ref @narrow : tensor<8x8xf8E4M3FN>
    // CHECK: kern.ref @narrow part 1 : tensor<8x1xf32>
    %scales = kern.ref @narrow part 1 : tensor<8x1xf32>
    // CHECK: kern.product {{.*}} scaled %{{[^ ]+}} norm : (tensor<2x8xbf16>, tensor<8x8xf8E4M3FN>, tensor<8x1xf32>) -> tensor<2x8xbf16>
    %scaled = kern.product %s, %narrow scaled %scales norm : (tensor<2x8xbf16>, tensor<8x8xf8E4M3FN>, tensor<8x1xf32>) -> tensor<2x8xbf16>
    // CHECK: kern.product {{.*}} by {engine = "cublaslt"} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    %q = kern.product %s, %w by {engine = "cublaslt"} : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    // CHECK: kern.rope {{.*}} : (tensor<2x8xbf16>, tensor<32x4xf32>, tensor<2xi32>) -> tensor<2x8xbf16>
    %r = kern.rope %q, %rope, %pos : (tensor<2x8xbf16>, tensor<32x4xf32>, tensor<2xi32>) -> tensor<2x8xbf16>
    // CHECK: kern.scale {{.*}} by 1.200000e+00 : tensor<2x8xbf16>
    %c = kern.scale %r by 1.2 : tensor<2x8xbf16>
    %k = kern.embed %ids, %ve : (tensor<2xi32>, tensor<16x4xbf16>) -> tensor<2x4xbf16>
    // CHECK: kern.value_gate {{.*}} table {{.*}} gate {{.*}} range 3.000000e+00 : (tensor<2x4xbf16>, tensor<2x8xbf16>, tensor<2xi32>, tensor<16x4xbf16>, tensor<1x4xbf16>) -> tensor<2x4xbf16>
    %v = kern.value_gate %k, %u, %ids table %ve gate %gate range 3.0 : (tensor<2x4xbf16>, tensor<2x8xbf16>, tensor<2xi32>, tensor<16x4xbf16>, tensor<1x4xbf16>) -> tensor<2x4xbf16>
    // CHECK: kern.attention {{.*}} kv {{.*}} at {{.*}} window 8 : (tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x8xbf16>
    %a = kern.attention %c, %k, %v kv %kv at %rows, %pos, %starts window 8 : (tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x8xbf16>
    // CHECK: %[[T:.*]] = kern.ref @ticket
    %ticket = kern.ref @ticket : tensor<1xui32>
    // CHECK: kern.attention {{.*}} kv {{.*}} at {{.*}} counters %[[T]] window 8 by {blocks = 2 : i64, engine = "wgmma", stages = 2 : i64, tile_k = 64 : i64, tile_q = 64 : i64} :
    %a2 = kern.attention %c, %k, %v kv %kv at %rows, %pos, %starts counters %ticket window 8 by {engine = "wgmma", tile_q = 64, tile_k = 64, stages = 2, blocks = 2} : (tensor<2x8xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<1xui32>) -> tensor<2x8xbf16>
    // CHECK: kern.kv_write {{.*}} at {{.*}} into {{.*}} : tensor<2x4xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, <rows 2, heads 1, positions 9, dim 4, bf16>
    kern.kv_write %k, %v at %rows, %pos, %ends into %kv : tensor<2x4xbf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>
    // CHECK: kern.add {{.*}} : tensor<2x8xbf16>
    %add = kern.add %a, %s : tensor<2x8xbf16>
    // CHECK: kern.relu2 {{.*}} : tensor<2x8xbf16>
    %m = kern.relu2 %add : tensor<2x8xbf16>
    // CHECK: kern.mix {{.*}} resid {{.*}} skip {{.*}} layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    %x = kern.mix %m, %s resid %lambdas skip %lambdas layer 1 : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x8xbf16>
    // CHECK: kern.backout {{.*}} lambda {{.*}} : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    %b = kern.backout %x, %s lambda %lambda : (tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<1xf32>) -> tensor<2x8xbf16>
    // CHECK: kern.last {{.*}} : (tensor<2x8xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    %y = kern.last %b, %index : (tensor<2x8xbf16>, tensor<2xi32>) -> tensor<2x8xbf16>
    // CHECK: kern.softcap {{.*}} cap 1.500000e+01 : (tensor<2x8xf32>) -> tensor<2x5xf32>
    %z = kern.softcap %l cap 1.5e1 : (tensor<2x8xf32>) -> tensor<2x5xf32>
    %counters = kern.ref @counters : tensor<2xui32>
    // CHECK: kern.sample {{.*}} counters {{.*}} vocab 5 cap 1.500000e+01 : (tensor<2x8xf32>, tensor<2xi32>, tensor<2xi32>, tensor<8xui32>, tensor<2xui32>) -> (tensor<256xf32>, tensor<2xi32>)
    %partials, %next = kern.sample %l, %index, %steps, %words counters %counters vocab 5 cap 1.5e1 : (tensor<2x8xf32>, tensor<2xi32>, tensor<2xi32>, tensor<8xui32>, tensor<2xui32>) -> (tensor<256xf32>, tensor<2xi32>)
    // CHECK: kern.embed {{.*}} norm mix resid {{.*}} skip {{.*}} layer 0 : (tensor<2xi32>, tensor<16x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    %n0, %n1 = kern.embed %ids, %wte norm mix resid %lambdas skip %lambdas layer 0 : (tensor<2xi32>, tensor<16x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    // CHECK: kern.embed {{.*}} norm smear {{.*}} gate {{.*}} lambda {{.*}} mix resid {{.*}} skip {{.*}} layer 0 : (tensor<2xi32>, tensor<16x8xbf16>, tensor<2xi32>, tensor<1x4xbf16>, tensor<1xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    %s0, %s1 = kern.embed %ids, %wte norm smear %ids gate %gate lambda %lambda mix resid %lambdas skip %lambdas layer 0 : (tensor<2xi32>, tensor<16x8xbf16>, tensor<2xi32>, tensor<1x4xbf16>, tensor<1xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    // CHECK: kern.product {{.*}} plus {{.*}} mix {{.*}} resid {{.*}} skip {{.*}} layer 1 : (tensor<2x8xbf16>, tensor<8x8xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    %m0, %m1 = kern.product %s0, %w plus %s1 mix %n0 resid %lambdas skip %lambdas layer 1 : (tensor<2x8xbf16>, tensor<8x8xbf16>, tensor<2x8xbf16>, tensor<2x8xbf16>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xbf16>, tensor<2x8xbf16>)
    // CHECK: kern.product {{.*}} plus {{.*}} by {engine = "mma", tile_m = 32 : i64, tile_n = 64 : i64} {considered = ["mma: 1.00 us predicted"]} :
    %pa = kern.product %s0, %w plus %s1 by {engine = "mma", tile_m = 32, tile_n = 64} {considered = ["mma: 1.00 us predicted"]} : (tensor<2x8xbf16>, tensor<8x8xbf16>, tensor<2x8xbf16>) -> tensor<2x8xbf16>
    // CHECK: kern.nll {{.*}} : (tensor<2x5xf32>, tensor<2xi32>) -> tensor<2xf32>
    %n = kern.nll %z, %ids : (tensor<2x5xf32>, tensor<2xi32>) -> tensor<2xf32>
    return
  }
}

// CHECK-LABEL: func.func @batch
func.func @batch(%qkv: tensor<2x96xbf16>, %t: tensor<9x32xbf16>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, %i: tensor<2xi32>, %c: tensor<2xui32>, %x: tensor<2x32xbf16>, %e: tensor<16x32xbf16>, %g: tensor<1x4xbf16>) {
  // CHECK: kern.attention_step {{.*}} table {{.*}} kv {{.*}} at {{.*}} counters {{.*}} mult 1.200000e+00 window 8 by {blocks = 4 : i64, chunk = 32 : i64, engine = "spread"} {considered = ["spread: 1.00 us predicted"]} :
  %0, %1 = kern.attention_step %qkv table %t kv %kv at %i, %i counters %c mult 1.2 window 8 by {engine = "spread", chunk = 32, blocks = 4} {considered = ["spread: 1.00 us predicted"]} : (tensor<2x96xbf16>, tensor<9x32xbf16>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, tensor<2xui32>) -> (tensor<2x36xf32>, tensor<2x32xbf16>)
  // CHECK: kern.attention_step {{.*}} gate {{.*}} of {{.*}} embeds {{.*}} of {{.*}} range 3.000000e+00 counters {{.*}} window 8 by {blocks = 4 : i64, chunk = 64 : i64, engine = "spread"} :
  %2, %3 = kern.attention_step %qkv table %t kv %kv at %i, %i gate %g of %x embeds %e of %i range 3.0 counters %c mult 1.2 window 8 by {engine = "spread", chunk = 64, blocks = 4} : (tensor<2x96xbf16>, tensor<9x32xbf16>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, tensor<2x32xbf16>, tensor<2xi32>, tensor<16x32xbf16>, tensor<1x4xbf16>, tensor<2xui32>) -> (tensor<2x36xf32>, tensor<2x32xbf16>)
  return
}
