// RUN: nanocc-opt %s --kern-choose-templates | FileCheck %s

// A linear into which nothing was fused.
// CHECK-LABEL: kern.program @sm_90a
// CHECK: kern.linear {{.*}} library "cublaslt"
kern.program @sm_90a precision "bf16" {
  func.func @f(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x8xbf16> {
    %r = kern.relu2 %x : tensor<2x8xbf16>
    %0 = kern.linear %r, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    return %0 : tensor<2x8xbf16>
  }
}

// Few rows have no choice; many get the tile of the shortest predicted time, and what it won against stays.
// CHECK-LABEL: kern.program @sm_80
// CHECK: kern.product_add %{{.*}}, %{{.*}} to %{{.*}} by {family = "gemv"} :
// CHECK-NOT: considered
// CHECK: kern.product %{{.*}}, %{{.*}} norm by {family = "gemm", tile_m = 128 : i64, tile_n = 128 : i64}
// CHECK-SAME: considered = ["gemm tile_m=128 tile_n=128: {{[0-9.]+}} us predicted", "gemm
kern.program @sm_80 precision "bf16" {
  kern.weight @w : tensor<4096x1024xbf16> cast @w
  func.func @few(%x: tensor<2x1024xbf16>, %r: tensor<2x4096xbf16>) -> tensor<2x4096xbf16> {
    %w = kern.ref @w : tensor<4096x1024xbf16>
    %0 = kern.product_add %x, %w to %r : (tensor<2x1024xbf16>, tensor<4096x1024xbf16>, tensor<2x4096xbf16>) -> tensor<2x4096xbf16>
    return %0 : tensor<2x4096xbf16>
  }
  func.func @many(%x: tensor<2048x1024xbf16>) -> tensor<2048x4096xf32> {
    %w = kern.ref @w : tensor<4096x1024xbf16>
    %0 = kern.product %x, %w norm : (tensor<2048x1024xbf16>, tensor<4096x1024xbf16>) -> tensor<2048x4096xf32>
    return %0 : tensor<2048x4096xf32>
  }
}
