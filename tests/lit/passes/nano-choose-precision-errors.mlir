// RUN: nanocc-opt %s --nano-choose-precision -verify-diagnostics -split-input-file

// expected-error @+1 {{'nano.options' is missing}}
module {}

// -----

// A declaration has nothing to decide about.
module attributes {nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "bf16", fuse = "all"}} {
  func.func private @f(tensor<4xf32>)
}
