"""A model of one layer with the extents asked for, as nanocc-import would write it."""
import argparse

parser = argparse.ArgumentParser()
for flag, value in [("head-dim", 8), ("heads", 2), ("kv-heads", 2), ("vocab", 16), ("padded", 16), ("window", 16)]:
    parser.add_argument("--" + flag, type=int, default=value)
a = parser.parse_args()
c, kv = a.heads * a.head_dim, a.kv_heads * a.head_dim
padded = max(a.padded, a.vocab)
print(f"""module attributes {{nano.model = {{name = "tiny", layers = 1, width = {c}, heads = {a.heads}, kv_heads = {a.kv_heads}, head_dim = {a.head_dim}, vocab = {a.vocab}, sequence_len = 64}}, nano.weights = "model.safetensors"}} {{
  nano.param @head : tensor<{padded}x{c}xbf16> from "head"
  nano.param @k : tensor<{kv}x{c}xbf16> from "k"
  nano.param @q : tensor<{c}x{c}xbf16> from "q"
  nano.param @v : tensor<{kv}x{c}xbf16> from "v"
  nano.param @wte : tensor<{padded}x{c}xbf16> from "wte"
  nano.cache @kv heads {a.kv_heads} dim {a.head_dim} window {a.window}
  func.func @forward(%ids: tensor<?x?xi32>) -> tensor<?x?x{a.vocab}xf32> {{
    %e = nano.embed %ids, @wte : tensor<?x?xi32> -> tensor<?x?x{c}xf32>
    %h = nano.rms_norm %e : tensor<?x?x{c}xf32>
    %q0 = nano.linear %h, @q : tensor<?x?x{c}xf32> -> tensor<?x?x{c}xf32>
    %q1 = nano.rope %q0 heads {a.heads} base 1.0e5 : tensor<?x?x{c}xf32>
    %q = nano.rms_norm %q1 groups {a.heads} : tensor<?x?x{c}xf32>
    %k0 = nano.linear %h, @k : tensor<?x?x{c}xf32> -> tensor<?x?x{kv}xf32>
    %k1 = nano.rope %k0 heads {a.kv_heads} base 1.0e5 : tensor<?x?x{kv}xf32>
    %k = nano.rms_norm %k1 groups {a.kv_heads} : tensor<?x?x{kv}xf32>
    %v = nano.linear %h, @v : tensor<?x?x{c}xf32> -> tensor<?x?x{kv}xf32>
    %a = nano.attention %q, %k, %v cache @kv : tensor<?x?x{c}xf32>, tensor<?x?x{kv}xf32>, tensor<?x?x{kv}xf32>
    %n = nano.rms_norm %a : tensor<?x?x{c}xf32>
    %z = nano.linear %n, @head : tensor<?x?x{c}xf32> -> tensor<?x?x{padded}xf32>
    %l = nano.softcap %z cap 1.5e1 : tensor<?x?x{padded}xf32> -> tensor<?x?x{a.vocab}xf32>
    return %l : tensor<?x?x{a.vocab}xf32>
  }}
}}""")
