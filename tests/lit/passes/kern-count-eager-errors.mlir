// RUN: nanocc-opt %s --kern-count-eager -verify-diagnostics -split-input-file

kern.program @cpu precision "f32" {
  func.func @decode_2(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{works on tensors of static, positive extents}}
    %y = kern.relu2 %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

// -----

// expected-error @+1 {{'kern.eager' needs 'flops', 0 or more}}
func.func private @f() attributes {kern.eager = {launches = 1, bytes = 2, flops = -1}}

// -----

// expected-error @+1 {{unknown attribute 'kern.lazy' of the kern dialect}}
func.func private @f() attributes {kern.lazy}
