// RUN: nanocc-opt %s --kern-choose-templates | FileCheck %s

// A linear into which nothing was fused; and a prompt's attention, whose blocks draw their work from a counter that
// layers share.
// CHECK-LABEL: kern.program @sm_90a
// CHECK: kern.counters @attention.counters.1 : tensor<1xui32>
// CHECK-NOT: kern.counters
// CHECK: kern.product {{.*}} by {engine = "cublaslt"}
// CHECK: kern.attention {{.*}} counters %{{.*}} window 512 by {blocks = 132 : i64, engine = "wgmma", stages = {{.*}}} {considered = ["wgmma tile_q=
// CHECK: kern.attention {{.*}} counters %{{.*}} window 512 by
kern.program @sm_90a precision "bf16" {
  func.func @f(%x: tensor<2x8xbf16>, %w: tensor<8x8xbf16>) -> tensor<2x8xbf16> {
    %r = kern.relu2 %x : tensor<2x8xbf16>
    %0 = kern.product %r, %w : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    return %0 : tensor<2x8xbf16>
  }
  func.func @prompt(%q: tensor<2048x768xbf16>, %kv: !kern.kv<rows 1, heads 6, positions 513, dim 128, bf16>, %i: tensor<2048xi32>, %s: tensor<1xi32>) -> tensor<2048x768xbf16> {
    %0 = kern.attention %q, %q, %q kv %kv at %i, %i, %s window 512 : (tensor<2048x768xbf16>, tensor<2048x768xbf16>, tensor<2048x768xbf16>, !kern.kv<rows 1, heads 6, positions 513, dim 128, bf16>, tensor<2048xi32>, tensor<2048xi32>, tensor<1xi32>) -> tensor<2048x768xbf16>
    %1 = kern.attention %0, %q, %q kv %kv at %i, %i, %s window 512 : (tensor<2048x768xbf16>, tensor<2048x768xbf16>, tensor<2048x768xbf16>, !kern.kv<rows 1, heads 6, positions 513, dim 128, bf16>, tensor<2048xi32>, tensor<2048xi32>, tensor<1xi32>) -> tensor<2048x768xbf16>
    return %1 : tensor<2048x768xbf16>
  }
}

// Few rows have no choice; many get the tile of the shortest predicted time, and what it won against stays. A prompt's
// attention runs on tensor cores, without counters.
// CHECK-LABEL: kern.program @sm_80
// CHECK: kern.product %{{.*}}, %{{.*}} plus %{{.*}} by {M = 2 : i64, engine = "stream"} :
// CHECK-NOT: considered
// CHECK: kern.product %{{.*}}, %{{.*}} norm by {engine = "mma", tile_m = 128 : i64, tile_n = 128 : i64}
// CHECK-SAME: considered = ["mma tile_m=128 tile_n=128: {{[0-9.]+}} us predicted", "mma
// CHECK: kern.attention {{.*}} at %{{[^ ]+}}, %{{[^ ]+}}, %{{[^ ]+}} window 512 by {engine = "mma", stages = {{[12]}} : i64, tile_k = 64 : i64, tile_q = {{64|128}} : i64} {considered = ["mma tile_q=
// CHECK-SAME: "simt: {{[0-9.]+}} us predicted"]
kern.program @sm_80 precision "bf16" {
  kern.weight @w : tensor<4096x1024xbf16> cast @w
  func.func @few(%x: tensor<2x1024xbf16>, %r: tensor<2x4096xbf16>) -> tensor<2x4096xbf16> {
    %w = kern.ref @w : tensor<4096x1024xbf16>
    %0 = kern.product %x, %w plus %r : (tensor<2x1024xbf16>, tensor<4096x1024xbf16>, tensor<2x4096xbf16>) -> tensor<2x4096xbf16>
    return %0 : tensor<2x4096xbf16>
  }
  func.func @many(%x: tensor<2048x1024xbf16>) -> tensor<2048x4096xf32> {
    %w = kern.ref @w : tensor<4096x1024xbf16>
    %0 = kern.product %x, %w norm : (tensor<2048x1024xbf16>, tensor<4096x1024xbf16>) -> tensor<2048x4096xf32>
    return %0 : tensor<2048x4096xf32>
  }
  func.func @prompt(%q: tensor<2048x768xbf16>, %kv: !kern.kv<rows 1, heads 6, positions 513, dim 128, bf16>, %i: tensor<2048xi32>, %s: tensor<1xi32>) -> tensor<2048x768xbf16> {
    %0 = kern.attention %q, %q, %q kv %kv at %i, %i, %s window 512 : (tensor<2048x768xbf16>, tensor<2048x768xbf16>, tensor<2048x768xbf16>, !kern.kv<rows 1, heads 6, positions 513, dim 128, bf16>, tensor<2048xi32>, tensor<2048xi32>, tensor<1xi32>) -> tensor<2048x768xbf16>
    return %0 : tensor<2048x768xbf16>
  }
}

// More keys than the clusters of one row read quickly: chunks of the ring for a fixed number of blocks, and counters for
// all such launches.
// CHECK-LABEL: kern.program @sm_100a
// CHECK: kern.counters @attention.counters.6 : tensor<6xui32>
// CHECK-LABEL: func.func @step
// CHECK: %[[C:.*]] = kern.ref @attention.counters.6
// CHECK: %{{.*}}, %[[Y:.*]] = kern.attention_step %{{.*}} table %{{.*}} kv %{{.*}} at %{{.*}}, %{{.*}} counters %[[C]] mult 1.000000e+00 window 16384 by {blocks = 148 : i64, chunk = [[K:[0-9]+]] : i64, engine = "spread"} {considered = ["spread chunk=[[K]] blocks=148: {{.*}}"cluster cluster=
// CHECK-SAME: -> (tensor<{{[0-9]+}}xf32>, tensor<1x768xbf16>)
// CHECK: return %[[Y]]
// CHECK-LABEL: func.func @one
// CHECK: kern.attention_step {{.*}} by {cluster = 8 : i64, engine = "cluster"} {considered = ["cluster cluster=8
kern.program @sm_100a precision "bf16" {
  func.func @step(%qkv: tensor<1x2304xbf16>, %t: tensor<16384x128xbf16>, %kv: !kern.kv<rows 1, heads 6, positions 16384, dim 128, bf16>, %i: tensor<1xi32>) -> tensor<1x768xbf16> {
    %0 = kern.attention_step %qkv table %t kv %kv at %i, %i mult 1.0 window 16384 : (tensor<1x2304xbf16>, tensor<16384x128xbf16>, tensor<1xi32>, tensor<1xi32>, !kern.kv<rows 1, heads 6, positions 16384, dim 128, bf16>) -> tensor<1x768xbf16>
    return %0 : tensor<1x768xbf16>
  }
  func.func @one(%qkv: tensor<1x2304xbf16>, %t: tensor<640x128xbf16>, %kv: !kern.kv<rows 1, heads 6, positions 640, dim 128, bf16>, %i: tensor<1xi32>) -> tensor<1x768xbf16> {
    %0 = kern.attention_step %qkv table %t kv %kv at %i, %i mult 1.0 window 640 : (tensor<1x2304xbf16>, tensor<640x128xbf16>, tensor<1xi32>, tensor<1xi32>, !kern.kv<rows 1, heads 6, positions 640, dim 128, bf16>) -> tensor<1x768xbf16>
    return %0 : tensor<1x768xbf16>
  }
}
