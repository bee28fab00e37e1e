// RUN: nanocc-opt %s --nano-lower-to-kern -verify-diagnostics -split-input-file

// expected-error @+1 {{'nano.options' is missing}}
module {}

// -----

module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
  // expected-error @+1 {{is not an entry point: nano-fix-shapes must run first}}
  func.func @forward(%ids: tensor<?x?xi32>) {
    return
  }
}

// -----

module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
  // expected-error @+1 {{is not an entry point: nano-fix-shapes must run first}}
  func.func private @forward() attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} 
}

// -----

module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
  func.func @f(%ids: tensor<2xi32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{'nano.previous' op has no lowering to kern}}
    %p = nano.previous %ids : tensor<2xi32>
    return
  }
}
