// RUN: nanocc-opt %s -verify-diagnostics -split-input-file

// expected-error @+1 {{a ring's extents must be from 1 to 1048576, one is 0}}
func.func private @f(!kern.kv<rows 1, heads 1, positions 0, dim 4, bf16>)

// -----

// expected-error @+1 {{a ring holds floats (f32, bf16, f8E4M3FN), not 'f16'}}
func.func private @f(!kern.kv<rows 1, heads 1, positions 8, dim 4, f16>)

// -----

kern.program @cpu precision "f32" {
  func.func @f() {
    // expected-error @+1 {{'kern.ref' op @nowhere is not a weight, table, cache or counters of this program}}
    %0 = kern.ref @nowhere : tensor<4x4xf32>
    return
  }
}

// -----

func.func @outside() {
  // expected-error @+1 {{'kern.ref' op @w is not a weight, table, cache or counters of this program}}
  %0 = kern.ref @w : tensor<4x4xf32>
  return
}

// -----

kern.program @cpu precision "f32" {
  kern.weight @w : tensor<4x8xf32> cast @w
  func.func @f() {
    // expected-error @+1 {{'kern.ref' op @w has type 'tensor<4x8xf32>'}}
    %0 = kern.ref @w : tensor<4x4xf32>
    return
  }
}

// -----

func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{'kern.rms_norm' op width 3 must divide the 8 channels}}
  %0 = kern.rms_norm %x width 3 : tensor<2x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{'kern.rms_norm' op width 0 must divide the 8 channels}}
  %0 = kern.rms_norm %x width 0 : tensor<2x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<4x7xf32>) {
  // expected-error @+1 {{(n, k) x (m, k)ᵀ -> (n, m) expected, have 'tensor<2x8xf32>', 'tensor<4x7xf32>' -> 'tensor<2x4xf32>'}}
  %0 = kern.product %x, %w : (tensor<2x8xf32>, tensor<4x7xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<4x8xbf16>) {
  // expected-error @+1 {{x and a weight without scales must have the same element type}}
  %0 = kern.product %x, %w : (tensor<2x8xf32>, tensor<4x8xbf16>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xbf16>, %w: tensor<4x8xf8E4M3FN>, %s: tensor<2x1xf32>) {
  // expected-error @+1 {{scales are of a weight of f8E4M3FN, one a row; have 'tensor<2x1xf32>' and 'tensor<4x8xf8E4M3FN>'}}
  %0 = kern.product %x, %w scaled %s : (tensor<2x8xbf16>, tensor<4x8xf8E4M3FN>, tensor<2x1xf32>) -> tensor<2x4xbf16>
  return
}

// -----

kern.program @cpu precision "bf16" {
  kern.weight @w : tensor<8x8xbf16> cast @w
  func.func @f() {
    // expected-error @+1 {{@w has no part 1}}
    %0 = kern.ref @w part 1 : tensor<8x1xf32>
    return
  }
}

// -----

func.func @f(%x: tensor<*xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{must be ranked tensor of 32-bit float or bfloat16 type values}}
  %0 = kern.product %x, %w : (tensor<*xf32>, tensor<4x8xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%q: tensor<2x8xf32>, %k: tensor<2x6xf32>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{k and v must have 1 heads of 4 like the ring}}
  %0 = kern.attention %q, %k, %k kv %kv at %i, %i, %i window 8 : (tensor<2x8xf32>, tensor<2x6xf32>, tensor<2x6xf32>, !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<2x6xf32>, %k: tensor<2x4xf32>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{the query heads must be a multiple of the ring's 1}}
  %0 = kern.attention %q, %k, %k kv %kv at %i, %i, %i window 8 : (tensor<2x6xf32>, tensor<2x4xf32>, tensor<2x4xf32>, !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x4xf32>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, %i: tensor<2xi32>, %s: tensor<3xi32>) {
  // expected-error @+1 {{serves 3 rows, the ring holds 2}}
  %0 = kern.attention %q, %q, %q kv %kv at %i, %i, %s window 8 : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, !kern.kv<rows 2, heads 1, positions 9, dim 4, f32>, tensor<2xi32>, tensor<2xi32>, tensor<3xi32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<16x64xbf16>, %w: tensor<64x64xbf16>) -> tensor<16x64xbf16> {
  // expected-error @+1 {{'kern.product' op has a choice without an engine}}
  %0 = kern.product %x, %w by {tile_m = 32} : (tensor<16x64xbf16>, tensor<64x64xbf16>) -> tensor<16x64xbf16>
  return %0 : tensor<16x64xbf16>
}

// -----

func.func @f(%x: tensor<16x64xbf16>, %w: tensor<64x64xbf16>) -> tensor<16x64xbf16> {
  // expected-error @+1 {{'kern.product' op has a choice of "warps" = "four"; engines spread the work by integers}}
  %0 = kern.product %x, %w by {engine = "mma", warps = "four"} : (tensor<16x64xbf16>, tensor<64x64xbf16>) -> tensor<16x64xbf16>
  return %0 : tensor<16x64xbf16>
}

// -----

func.func @f(%qkv: tensor<2x64xbf16>, %t: tensor<9x32xbf16>, %kv: !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, %i: tensor<2xi32>, %c: tensor<2xui32>) {
  // expected-error @+1 {{expects q of the result's 32 channels and k and v of 1 heads of 32 side by side}}
  %0, %1 = kern.attention_step %qkv table %t kv %kv at %i, %i counters %c mult 1.0 window 8 by {engine = "spread", chunk = 32, blocks = 4} : (tensor<2x64xbf16>, tensor<9x32xbf16>, tensor<2xi32>, tensor<2xi32>, !kern.kv<rows 2, heads 1, positions 9, dim 32, bf16>, tensor<2xui32>) -> (tensor<2x36xf32>, tensor<2x32xbf16>)
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %r: tensor<2x4xf32>) {
  // expected-error @+1 {{has an epilogue that no kernel has: relu2 stands alone, mix and without come after plus}}
  %0 = kern.product %x, %w relu2 plus %r : (tensor<2x8xf32>, tensor<4x8xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>, %r: tensor<2x8xf32>) {
  // expected-error @+1 {{reads and writes tensors of the type of its result, 'tensor<2x4xf32>', not 'tensor<2x8xf32>'}}
  %0 = kern.product %x, %w plus %r : (tensor<2x8xf32>, tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{is no plain product: a library serves only those}}
  %0 = kern.product %x, %w norm by {engine = "cublaslt"} : (tensor<2x8xf32>, tensor<4x8xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%i: tensor<2xi32>, %t: tensor<16x8xf32>, %l: tensor<2xf32>) {
  // expected-error @+1 {{smears and mixes normed rows alone: it lacks 'norm'}}
  %0, %1 = kern.embed %i, %t mix resid %l skip %l layer 0 : (tensor<2xi32>, tensor<16x8xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>)
  return
}
