// RUN: nanocc-opt %s --kern-verify -verify-diagnostics -split-input-file

kern.program @cpu precision "f32" {
  // expected-error @+1 {{@w is not a nano.param of this module}}
  kern.weight @w : tensor<8x8xf32> cast @w
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
kern.program @cpu precision "f32" {
  // expected-error @+1 {{has another shape than @w, 'tensor<8x4xbf16>'}}
  kern.weight @w : tensor<8x8xf32> cast @w
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it needs 'nano.entry' and one block}}
  func.func @f() {
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it needs 'nano.entry' and one block}}
  func.func private @f() attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}}
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: its arguments must be tensors of static shape}}
  func.func @decode_2(%x: tensor<?xf32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it must return what its launches made}}
  func.func @decode_2(%x: tensor<2xf32>) -> tensor<2xf32> attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    return %x : tensor<2xf32>
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<2x8xf32> {nano.binding = "x"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{'func.call' op is neither a launch nor a kern.ref}}
    func.call @decode_2(%x) : (tensor<2x8xf32>) -> ()
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<f32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{works on tensors of static, positive extents, not on 'tensor<f32>'}}
    %0 = kern.relu2 %x : tensor<f32>
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<0x8xf32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{works on tensors of static, positive extents, not on 'tensor<0x8xf32>'}}
    %0 = kern.relu2 %x : tensor<0x8xf32>
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<2000000000x8xf32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{has more than 2³¹ elements; use smaller prefill buckets}}
    %0 = kern.relu2 %x : tensor<2000000000x8xf32>
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<2x8xf32>, %t: tensor<4x3xf32>, %p: tensor<2xi32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{does not fit rope: D is 3, not a multiple of 2; the nearest that works is 4}}
    %0 = kern.rope %x, %t, %p : (tensor<2x8xf32>, tensor<4x3xf32>, tensor<2xi32>) -> tensor<2x8xf32>
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  func.func @decode_2(%i: tensor<2xi32>, %t: tensor<4x8xbf16>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{argument 'table' must be f32, is 'bf16'}}
    %0 = kern.embed %i, %t : (tensor<2xi32>, tensor<4x8xbf16>) -> tensor<2x8xf32>
    return
  }
}

// -----

kern.program @sm_100a precision "bf16" {
  func.func @prefill_64(%x: tensor<64x64xbf16> {nano.binding = "x"}, %w: tensor<64x64xbf16> {nano.binding = "w"}) -> tensor<64x64xbf16>
      attributes {nano.entry = {kind = "prefill", tokens = 64, rows = 1}} {
    // expected-error @+1 {{'kern.product' op is served by engine 'wgmma', which needs wgmma}}
    %0 = kern.product %x, %w by {engine = "wgmma", tile_m = 64, tile_n = 64, stages = 2, split = 1, share = 1, blocks = 132} : (tensor<64x64xbf16>, tensor<64x64xbf16>) -> tensor<64x64xbf16>
    return %0 : tensor<64x64xbf16>
  }
}

// -----

kern.program @sm_90a precision "bf16" {
  func.func @prefill_64(%x: tensor<64x64xbf16> {nano.binding = "x"}, %w: tensor<64x64xbf16> {nano.binding = "w"}) -> tensor<64x64xbf16>
      attributes {nano.entry = {kind = "prefill", tokens = 64, rows = 1}} {
    // expected-error @+1 {{'kern.product' op does not fit product by wgmma: stages is 9; the nearest that works is 4}}
    %0 = kern.product %x, %w by {engine = "wgmma", tile_m = 256, tile_n = 128, stages = 9, split = 1, share = 1, blocks = 132} : (tensor<64x64xbf16>, tensor<64x64xbf16>) -> tensor<64x64xbf16>
    return %0 : tensor<64x64xbf16>
  }
}

// -----

kern.program @sm_90a precision "bf16" {
  func.func @decode_2(%q: tensor<2x4xbf16>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>, %i: tensor<2xi32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{lacks the argument 'counters' of attention_chunk by wgmma}}
    %0 = kern.attention %q, %q, %q kv %kv at %i, %i, %i window 8 by {engine = "wgmma", tile_q = 64, tile_k = 64, stages = 2, blocks = 2} : (tensor<2x4xbf16>, tensor<2x4xbf16>, tensor<2x4xbf16>, !kern.kv<rows 2, heads 1, positions 9, dim 4, bf16>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x4xbf16>
    return
  }
}

// -----

kern.program @sm_90a precision "bf16" {
  func.func @decode_2(%q: tensor<2x4xf32>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, %i: tensor<2xi32>, %c: tensor<1xui32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{has counters, which attention_chunk by simt has no use for}}
    %0 = kern.attention %q, %q, %q kv %kv at %i, %i, %i counters %c window 8 by {engine = "simt"} : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<1xui32>) -> tensor<2x4xf32>
    return
  }
}

// -----

kern.program @sm_90a precision "bf16" {
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>
  func.func @decode_2(%qkv: tensor<2x96xbf16>, %t: tensor<9x32xbf16>, %i: tensor<2xi32>, %c: tensor<1xui32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>
    // expected-error @+1 {{argument 'counters' needs 2 elements, has 1}}
    %0, %1 = kern.attention_step %qkv table %t kv %kv at %i, %i counters %c mult 1.0 window 8 by {engine = "spread", chunk = 32, blocks = 4} : (tensor<2x96xbf16>, tensor<9x32xbf16>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, tensor<1xui32>) -> (tensor<2x36xf32>, tensor<2x32xbf16>)
    return
  }
}

// -----

kern.program @sm_90a precision "bf16" {
  kern.cache @kv : !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>
  func.func @decode_2(%qkv: tensor<2x96xbf16>, %t: tensor<9x32xbf16>, %i: tensor<2xi32>, %c: tensor<2xui32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %kv = kern.ref @kv : !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>
    // expected-error @+1 {{does not fit attention_step by spread: blocks is 0; the nearest that works is 1}}
    %0, %1 = kern.attention_step %qkv table %t kv %kv at %i, %i counters %c mult 1.0 window 8 by {engine = "spread", chunk = 32, blocks = 0} : (tensor<2x96xbf16>, tensor<9x32xbf16>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, tensor<2xui32>) -> (tensor<2x36xf32>, tensor<2x32xbf16>)
    return
  }
}
