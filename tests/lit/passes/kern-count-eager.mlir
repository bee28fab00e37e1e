// Every launch of an entry with its family's cost; what is no launch does not count. Again, the counts are of what there
// is by then.
// RUN: nanocc-opt %s --kern-count-eager | FileCheck %s
// RUN: nanocc-opt %s --kern-count-eager --kern-fuse-activation | FileCheck %s --check-prefix=FUSED

kern.program @cpu precision "bf16" {
  kern.weight @w : tensor<8x16xbf16> cast @w
  // 2 * 16 + 8 * 16 + 2 * 8 elements of the product, twice 2 * 8 of the square; 2 * 2 * 8 * 16 FLOPs and 2 * 2 * 8.
  // CHECK: func.func @decode_2
  // CHECK-SAME: attributes {kern.eager = {bytes = 416 : i64, flops = 544 : i64, launches = 2 : i64}, nano.entry
  // FUSED: kern.eager = {bytes = 416 : i64, flops = 544 : i64, launches = 2 : i64}
  // FUSED: kern.product
  // FUSED-NEXT: return
  func.func @decode_2(%x: tensor<2x16xbf16> {nano.binding = "x"}) -> (tensor<2x8xbf16> {nano.binding = "y"}) attributes {nano.entry = {kind = "decode", rows = 2 : i64, tokens = 2 : i64}} {
    %w = kern.ref @w : tensor<8x16xbf16>
    %l = kern.product %x, %w : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
    %r = kern.relu2 %l : tensor<2x8xbf16>
    return %r : tensor<2x8xbf16>
  }
}
nano.param @w : tensor<8x16xbf16> from "w"
