// RUN: nanocc-opt %s --nano-verify-model -verify-diagnostics -split-input-file

// expected-error @+1 {{a model needs the module attributes 'nano.model' and 'nano.weights'; nanocc-import writes them}}
module {}

// -----

// expected-error @+1 {{a model needs a function @forward with a body}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
}

// -----

// expected-error @+1 {{a model needs a function @forward with a body}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
  func.func private @forward(tensor<?x?xi32>) -> tensor<?x?x10xf32>
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
  // expected-error @+1 {{@forward must map token ids tensor<?x?xi32> to logits tensor<?x?xVxf32>}}
  func.func @forward() {
    return
  }
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
  // expected-error @+1 {{@forward must return the result of nano.softcap}}
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x10xf32> {
    %0 = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x10xf32>
    return %0 : tensor<?x?x10xf32>
  }
  nano.param @wte : tensor<16x10xf32> from "wte"
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x7xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // expected-error @+1 {{gives 7 logits, 'nano.model' says a vocabulary of 10}}
    %l = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x7xf32>
    return %l : tensor<?x?x7xf32>
  }
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 8, sequence_len = 16}, nano.weights = "w"} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // expected-error @+1 {{gives the logits; nothing but the return may read them}}
    %l = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    %d = nano.relu2 %l : tensor<?x?x8xf32>
    return %l : tensor<?x?x8xf32>
  }
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 8, sequence_len = 16}, nano.weights = "w"} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // expected-error @+1 {{'func.call' op does not belong in @forward}}
    %c = func.call @forward(%ids) : (tensor<?x?xi32>) -> tensor<?x?x8xf32>
    %l = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    return %l : tensor<?x?x8xf32>
  }
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 8, sequence_len = 16}, nano.weights = "w"} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    // expected-error @+1 {{must have a result of shape (?, ?) or (?, ?, channels), has 'tensor<?x?x?xf32>'}}
    %d = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x?xf32>
    %l = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    return %l : tensor<?x?x8xf32>
  }
}

// -----

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 8, sequence_len = 16}, nano.weights = "w"} {
  nano.cache @kv heads 1 dim 8
  nano.param @wte : tensor<16x8xbf16> from "wte"
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %a = nano.attention %e, %e, %e cache @kv : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>
    // expected-error @+1 {{shares cache @kv with another layer; each needs its own}}
    %b = nano.attention %e, %e, %e cache @kv : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>
    %l = nano.softcap %e : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
    return %l : tensor<?x?x8xf32>
  }
}
