// What a model is, and that checking it changes nothing.
// RUN: nanocc-opt %s > %t.before
// RUN: nanocc-opt %s --nano-verify-model > %t.after
// RUN: diff %t.before %t.after

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
  nano.param @wte : tensor<16x8xbf16> from "wte"
  nano.param @head : tensor<16x8xbf16> from "head"
  nano.param @k : tensor<4x8xbf16> from "k"
  nano.cache @kv heads 1 dim 4 window 8
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x10xf32> {
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %p = nano.previous %ids : tensor<?x?xi32>
    %f = nano.embed %p, @wte : tensor<?x?xi32> -> tensor<?x?x8xf32>
    %x = nano.add %e, %f : tensor<?x?x8xf32>
    %k = nano.linear %x, @k : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
    %a = nano.attention %x, %k, %k cache @kv : tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
    %z = nano.linear %a, @head : tensor<?x?x8xf32> -> tensor<?x?x16xf32>
    %l = nano.softcap %z cap 1.5e1 : tensor<?x?x16xf32> -> tensor<?x?x10xf32>
    return %l : tensor<?x?x10xf32>
  }
}
