// RUN: nanocc-opt %s --kern-lower-to-plan -verify-diagnostics -split-input-file

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it needs 'nano.entry' with kind prefill, decode or score}}
  func.func @f() {
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it needs 'nano.entry' with kind prefill, decode or score}}
  func.func @f() attributes {nano.entry = {kind = "train", tokens = 2, rows = 2}} {
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{is not an entry point: it has no body}}
  func.func private @f() attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}}
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{argument 0 needs 'nano.binding'}}
  func.func @decode_2(%x: tensor<2x8xf32>) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %0 = kern.relu2 %x : tensor<2x8xf32>
    return
  }
}

// -----

kern.program @cpu precision "f32" {
  // expected-error @+1 {{result 0 needs 'nano.binding'}}
  func.func @f(%x: tensor<2xf32> {nano.binding = "x"}) -> tensor<2xf32> attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %y = kern.relu2 %x : tensor<2xf32>
    return %y : tensor<2xf32>
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
  func.func @decode_2(%x: tensor<f32> {nano.binding = "x"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    // expected-error @+1 {{works on tensors of static, positive extents}}
    %0 = kern.relu2 %x : tensor<f32>
    return
  }
}
