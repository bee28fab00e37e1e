// RUN: nanocc-opt %s --kern-fuse-activation | FileCheck %s

// CHECK-LABEL: func.func @plain
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} relu2 : (tensor<9x16xbf16>, tensor<8x16xbf16>) -> tensor<9x8xbf16>
// CHECK-NEXT: return
func.func @plain(%x: tensor<9x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<9x8xbf16> {
  %l = kern.product %x, %w : (tensor<9x16xbf16>, tensor<8x16xbf16>) -> tensor<9x8xbf16>
  %r = kern.relu2 %l : tensor<9x8xbf16>
  return %r : tensor<9x8xbf16>
}

// CHECK-LABEL: func.func @normed
// CHECK-NEXT: kern.product %{{.+}}, %{{.+}} norm relu2 : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
// CHECK-NEXT: return
func.func @normed(%x: tensor<2x16xbf16>, %w: tensor<8x16xbf16>) -> tensor<2x8xbf16> {
  %l = kern.product %x, %w norm : (tensor<2x16xbf16>, tensor<8x16xbf16>) -> tensor<2x8xbf16>
  %r = kern.relu2 %l : tensor<2x8xbf16>
  return %r : tensor<2x8xbf16>
}
