// Measured times outweigh predictions, and an override both; the last pattern that matches wins.
// RUN: nanocc-opt %s --kern-choose-templates | FileCheck %s

// CHECK: func.func @prefill_64
// CHECK: by {engine = "mma", tile_m = 32 : i64, tile_n = 32 : i64}
// CHECK-SAME: considered = ["mma tile_m=32 tile_n=32: 3.50 us measured", "mma tile_m=64 tile_n=64: 4.00 us measured",
// CHECK-SAME: us predicted"
// CHECK: func.func @score_64
// CHECK: by {engine = "mma", tile_m = 128 : i64, tile_n = 64 : i64}
// CHECK-SAME: considered = ["mma tile_m=128 tile_n=64: {{[0-9.]+}} us predicted, by --template", "mma
// Nearly as fast, with less shared memory: its neighbours start earlier beside it.
// CHECK: func.func @near_64
// CHECK: by {engine = "mma", tile_m = 32 : i64, tile_n = 32 : i64}
// CHECK-SAME: considered = ["mma tile_m=32 tile_n=32: 3.50 us measured, nearly as short, more blocks fit an SM", "mma tile_m=64 tile_n=64: 3.30 us measured",
// And in smaller clusters, if it is as good as equal.
// CHECK: func.func @single_128
// CHECK: by {{.*}} share = 1 : i64
// CHECK-SAME: share=1 blocks=264: 73.50 us measured, nearly as short, in smaller clusters", "wgmma tile_m=128 tile_n=64 stages=4 split=1 share=2 blocks=264: 72.50 us measured"
// CHECK: func.func @pairs_128
// CHECK: by {{.*}} share = 2 : i64
// CHECK-SAME: share=2 blocks=264: 72.50 us measured", "wgmma tile_m=128 tile_n=64 stages=4 split=1 share=1 blocks=264: 75.50 us measured"
// Not with fewer blocks, nor where a block takes a whole SM.
// CHECK: func.func @parts_8
// CHECK: by {{.*}} split = 8 : i64
// CHECK: func.func @whole_2048
// CHECK: by {{.*}} share = 2 : i64, split = 1 : i64, stages = 4 : i64, tile_m = 256 : i64
// A product into which nothing is fused is a library's unless both were measured and it is slower; then its algorithm
// is the one that was measured, of the version that was there.
// CHECK: func.func @plain_64
// CHECK: kern.product {{.*}} by {algorithm = 2 : i64, engine = "cublaslt", version = "13.1.0"} {considered = ["cublaslt algorithm=2: 3.20 us measured", "mma tile_m=32 tile_n=32: 3.50 us measured"
// CHECK: kern.product {{.*}} by {engine = "mma", tile_m = 32 : i64, tile_n = 32 : i64} {considered = ["mma tile_m=32 tile_n=32: 3.50 us measured, nearly as short, more blocks fit an SM", "mma tile_m=64 tile_n=64: 3.30 us measured", "cublaslt algorithm=1: 3.60 us measured", "
// CHECK: kern.product {{.*}} by {engine = "cublaslt"} {considered = ["cublaslt: {{[0-9.]+}} us predicted, a library's product until it was measured", "
module attributes {nano.options = {targets = ["sm_90a"], batches = array<i64: 1>, prefill = array<i64: 64>,
    max_seq = 64 : i64, precision = "bf16", fuse = "all",
    templates = ["score_*=mma,tile_m=64,tile_n=64", "score_64/w=mma,tile_m=128,tile_n=64"],
    tuning = {sm_90a = {"product T=bf16 O=bf16 K=256 N=512 norm=0 n=64 by mma tile_m=64 tile_n=64" = 4.0 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=1 n=64 by mma tile_m=64 tile_n=64" = 4.0 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=0 n=64 by mma tile_m=32 tile_n=32" = 3.5 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=1 n=64 by mma tile_m=32 tile_n=32" = 3.5 : f64,
                        "product T=bf16 O=bf16 K=256 N=256 norm=0 n=64 by mma tile_m=64 tile_n=64" = 3.3 : f64,
                        "product T=bf16 O=bf16 K=256 N=256 norm=1 n=64 by mma tile_m=64 tile_n=64" = 3.3 : f64,
                        "product T=bf16 O=bf16 K=256 N=256 norm=0 n=64 by mma tile_m=32 tile_n=32" = 3.5 : f64,
                        "product T=bf16 O=bf16 K=256 N=256 norm=1 n=64 by mma tile_m=32 tile_n=32" = 3.5 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=0 n=64 by cublaslt version=13.1.0 algorithm=0" = 3.6 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=0 n=64 by cublaslt version=13.1.0 algorithm=2" = 3.2 : f64,
                        "product T=bf16 O=bf16 K=256 N=512 norm=0 n=128 by cublaslt version=13.1.0 algorithm=2" = 0.1 : f64,
                        "product T=bf16 O=bf16 K=256 N=256 norm=0 n=64 by cublaslt version=13.1.0 algorithm=1" = 3.6 : f64,
                        "product T=bf16 O=bf16 K=1280 N=65536 norm=1 n=128 by wgmma tile_m=128 tile_n=64 stages=4 split=1 share=2 blocks=264" = 72.5 : f64,
                        "product T=bf16 O=bf16 K=1280 N=65536 norm=1 n=128 by wgmma tile_m=128 tile_n=64 stages=4 split=1 share=1 blocks=264" = 73.5 : f64,
                        "product T=bf16 O=bf16 K=1280 N=65472 norm=1 n=128 by wgmma tile_m=128 tile_n=64 stages=4 split=1 share=2 blocks=264" = 72.5 : f64,
                        "product T=bf16 O=bf16 K=1280 N=65472 norm=1 n=128 by wgmma tile_m=128 tile_n=64 stages=4 split=1 share=1 blocks=264" = 75.5 : f64,
                        "product T=bf16 O=bf16 K=3072 N=768 norm=1 n=8 by wgmma tile_m=8 tile_n=64 stages=10 split=8 share=1 blocks=264" = 3.15 : f64,
                        "product T=bf16 O=bf16 K=3072 N=768 norm=1 n=8 by wgmma tile_m=8 tile_n=64 stages=10 split=7 share=1 blocks=259" = 3.19 : f64,
                        "product T=bf16 O=bf16 K=768 N=3072 norm=1 n=2048 by wgmma tile_m=256 tile_n=128 stages=4 split=1 share=2 blocks=132" = 30.0 : f64,
                        "product T=bf16 O=bf16 K=768 N=3072 norm=1 n=2048 by wgmma tile_m=256 tile_n=128 stages=4 split=1 share=1 blocks=132" = 30.1 : f64}}}} {
  kern.program @sm_90a precision "bf16" {
    kern.weight @w : tensor<512x256xbf16> cast @w
    kern.weight @v : tensor<256x256xbf16> cast @v
    kern.weight @s : tensor<65536x1280xbf16> cast @s
    kern.weight @p : tensor<65472x1280xbf16> cast @p
    kern.weight @down : tensor<768x3072xbf16> cast @down
    kern.weight @up : tensor<3072x768xbf16> cast @up
    func.func @prefill_64(%x: tensor<64x256xbf16>) -> tensor<64x512xbf16> {
      %w = kern.ref @w : tensor<512x256xbf16>
      %0 = kern.product %x, %w norm : (tensor<64x256xbf16>, tensor<512x256xbf16>) -> tensor<64x512xbf16>
      return %0 : tensor<64x512xbf16>
    }
    func.func @score_64(%x: tensor<64x256xbf16>) -> tensor<64x512xbf16> {
      %w = kern.ref @w : tensor<512x256xbf16>
      %0 = kern.product %x, %w norm : (tensor<64x256xbf16>, tensor<512x256xbf16>) -> tensor<64x512xbf16>
      return %0 : tensor<64x512xbf16>
    }
    func.func @near_64(%x: tensor<64x256xbf16>) -> tensor<64x256xbf16> {
      %v = kern.ref @v : tensor<256x256xbf16>
      %0 = kern.product %x, %v norm : (tensor<64x256xbf16>, tensor<256x256xbf16>) -> tensor<64x256xbf16>
      return %0 : tensor<64x256xbf16>
    }
    func.func @single_128(%x: tensor<128x1280xbf16>) -> tensor<128x65536xbf16> {
      %s = kern.ref @s : tensor<65536x1280xbf16>
      %0 = kern.product %x, %s norm : (tensor<128x1280xbf16>, tensor<65536x1280xbf16>) -> tensor<128x65536xbf16>
      return %0 : tensor<128x65536xbf16>
    }
    func.func @pairs_128(%x: tensor<128x1280xbf16>) -> tensor<128x65472xbf16> {
      %p = kern.ref @p : tensor<65472x1280xbf16>
      %0 = kern.product %x, %p norm : (tensor<128x1280xbf16>, tensor<65472x1280xbf16>) -> tensor<128x65472xbf16>
      return %0 : tensor<128x65472xbf16>
    }
    func.func @parts_8(%x: tensor<8x3072xbf16>) -> tensor<8x768xbf16> {
      %w = kern.ref @down : tensor<768x3072xbf16>
      %0 = kern.product %x, %w norm : (tensor<8x3072xbf16>, tensor<768x3072xbf16>) -> tensor<8x768xbf16>
      return %0 : tensor<8x768xbf16>
    }
    func.func @whole_2048(%x: tensor<2048x768xbf16>) -> tensor<2048x3072xbf16> {
      %w = kern.ref @up : tensor<3072x768xbf16>
      %0 = kern.product %x, %w norm : (tensor<2048x768xbf16>, tensor<3072x768xbf16>) -> tensor<2048x3072xbf16>
      return %0 : tensor<2048x3072xbf16>
    }
    func.func @plain_64(%x: tensor<64x256xbf16>, %z: tensor<64x3072xbf16>) -> (tensor<64x512xbf16>, tensor<64x256xbf16>, tensor<64x768xbf16>) {
      %w = kern.ref @w : tensor<512x256xbf16>
      %v = kern.ref @v : tensor<256x256xbf16>
      %d = kern.ref @down : tensor<768x3072xbf16>
      %0 = kern.product %x, %w : (tensor<64x256xbf16>, tensor<512x256xbf16>) -> tensor<64x512xbf16>
      %1 = kern.product %x, %v : (tensor<64x256xbf16>, tensor<256x256xbf16>) -> tensor<64x256xbf16>
      %2 = kern.product %z, %d : (tensor<64x3072xbf16>, tensor<768x3072xbf16>) -> tensor<64x768xbf16>
      return %0, %1, %2 : tensor<64x512xbf16>, tensor<64x256xbf16>, tensor<64x768xbf16>
    }
  }
}
