// RUN: nanocc-opt %s --kern-choose-templates -split-input-file -verify-diagnostics | FileCheck %s

// A cpu program has no choice: it is left alone.
// CHECK-LABEL: kern.program @cpu
// CHECK: kern.relu2
// CHECK-NOT: library
kern.program @cpu precision "bf16" {
  func.func @f(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x8xbf16> {
    %r = kern.relu2 %x : tensor<2x8xbf16>
    %0 = kern.product %r, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    return %0 : tensor<2x8xbf16>
  }
}

// -----

module attributes {nano.options = {targets = ["sm_90a"], batches = array<i64: 1>, prefill = array<i64: 64>,
    max_seq = 64 : i64, precision = "bf16", fuse = "all", templates = ["*/w=mma,tile_m=48,tile_n=64"]}} {
  kern.program @sm_90a precision "bf16" {
    kern.weight @w : tensor<512x256xbf16> cast @w
    func.func @score_64(%x: tensor<64x256xbf16>) -> tensor<64x512xbf16> {
      %w = kern.ref @w : tensor<512x256xbf16>
      // expected-error @+1 {{--template */w=mma tile_m=48 tile_n=64 does not fit score_64/w: engine 'mma': tile_m is 48; 32, 64 and 128 work}}
      %0 = kern.product %x, %w : (tensor<64x256xbf16>, tensor<512x256xbf16>) -> tensor<64x512xbf16>
      return %0 : tensor<64x512xbf16>
    }
  }
}

// -----

// expected-error @+1 {{--template h9*= matches nothing that has a choice; such launches are named ENTRY/WEIGHT or ENTRY/RING, such as score_64/w}}
module attributes {nano.options = {targets = ["sm_90a"], batches = array<i64: 1>, prefill = array<i64: 64>,
    max_seq = 64 : i64, precision = "bf16", fuse = "all", templates = ["h9*=stream"]}} {
  kern.program @sm_90a precision "bf16" {
    kern.weight @w : tensor<512x256xbf16> cast @w
    func.func @score_64(%x: tensor<64x256xbf16>) -> tensor<64x512xbf16> {
      %w = kern.ref @w : tensor<512x256xbf16>
      %0 = kern.product %x, %w : (tensor<64x256xbf16>, tensor<512x256xbf16>) -> tensor<64x512xbf16>
      return %0 : tensor<64x512xbf16>
    }
  }
}

// -----

// expected-error @+1 {{'nano.options': --tuning is for sm_80, which --target does not name}}
module attributes {nano.options = {targets = ["sm_90a"], batches = array<i64: 1>, prefill = array<i64: 64>,
    max_seq = 64 : i64, precision = "bf16", fuse = "all", tuning = {sm_80 = {"k@1" = 1.0 : f64}}}} {
}
