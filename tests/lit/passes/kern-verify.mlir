// A program that keeps the contract, unchanged.
// RUN: nanocc-opt %s > %t.before
// RUN: nanocc-opt %s --kern-verify > %t.after
// RUN: diff %t.before %t.after

nano.param @w : tensor<8x8xbf16> from "w"
kern.program @cpu precision "f32" {
  kern.weight @w : tensor<8x8xf32> cast @w
  func.func @decode_2(%x: tensor<2x8xf32> {nano.binding = "x"}) -> (tensor<2x8xf32> {nano.binding = "y"}) attributes {nano.entry = {kind = "decode", tokens = 2, rows = 2}} {
    %w = kern.ref @w : tensor<8x8xf32>
    %y = kern.product %x, %w : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
    return %y : tensor<2x8xf32>
  }
}
