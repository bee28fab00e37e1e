// RUN: nanocc-opt %s --plan-form-edges | FileCheck %s

plan.program @cpu precision "f32" min_driver 0 {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.kernel @add meaning "add" {T = f32}
  plan.kernel @kv_write meaning "kv_write" {T = f32, kv_heads = 1, D = 4, ring = 8}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.buffer @kv in kv : tensor<1x2x1x8x4xf32> at 0
  plan.buffer @rows in state : tensor<64xi32> at 256
  plan.buffer @a in arena : tensor<64xf32> at 0 live @e 0 to 3
  plan.buffer @b in arena : tensor<64xf32> at 256 live @e 1 to 3
  plan.buffer @c in arena : tensor<64xf32> at 512 live @e 2 to 4
  plan.buffer @d in arena : tensor<64xf32> at 0 live @e 4 to 5
  // CHECK-LABEL: plan.entry @e
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // Only reads the input.
    // CHECK: [@x, @a, 64 : i32] {{.*}} after []
    plan.launch @relu2 [@x, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Reads the input too: two readers do not wait for each other.
    // CHECK: [@x, @b, 64 : i32] {{.*}} after []
    plan.launch @relu2 [@x, @b, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Read after write: a of node 0, b of node 1.
    // CHECK: [@a, @b, @c, 64 : i32] {{.*}} after [0, 1]
    plan.launch @add [@a, @b, @c, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Reads c of node 2; that node 0 is before it follows from node 2.
    // CHECK: [@a, @c, @b, 64 : i32] {{.*}} after [2]
    plan.launch @add [@a, @c, @b, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // d lies where a was: write after the read of a in node 3.
    // CHECK: [@c, @d, 64 : i32] {{.*}} after [3]
    plan.launch @relu2 [@c, @d, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Write after write: x is read by 0 and 1, which are before 4 anyway; d was written by 4.
    // CHECK: [@x, @d, 64 : i32] {{.*}} after [4]
    plan.launch @relu2 [@x, @d, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
  }
  // CHECK-LABEL: plan.entry @f
  plan.entry @f decode tokens 1 rows 1 inputs {} outputs {} {
    // A ring is read and written: one update waits for the one before.
    // CHECK: after []
    plan.launch @kv_write [@x, @x, @rows, @rows, @rows, @kv, 1 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // CHECK: after [0]
    plan.launch @kv_write [@x, @x, @rows, @rows, @rows, @kv, 1 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Nothing in common with the rings.
    // CHECK: [@x, @a, 64 : i32] {{.*}} after []
    plan.launch @relu2 [@x, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
  }
}

// On a device a chain of launches has programmatic edges.
// CHECK-LABEL: plan.program @sm_90a
plan.program @sm_90a precision "f32" min_driver 13000 {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.kernel @add meaning "add" {T = f32}
  plan.kernel @linear meaning "product" {T = f32, O = f32, K = 64, N = 64}
  plan.buffer @w in constant : tensor<64x64xf32> at 0
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.buffer @a in arena : tensor<64xf32> at 0 live @e 0 to 8
  plan.buffer @b in arena : tensor<64xf32> at 256 live @e 0 to 8
  plan.buffer @c in arena : tensor<64xf32> at 512 live @e 0 to 8
  plan.buffer @d in arena : tensor<64xf32> at 768 live @e 0 to 8
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // CHECK: [@x, @a, 64 : i32] {{.*}} after []{{$}}
    plan.launch @relu2 [@x, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // CHECK: [@a, @b, 64 : i32] {{.*}} after [0] programmatic [0]
    plan.launch @relu2 [@a, @b, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Reads a of node 0 too: node 1 cannot have finished before it.
    // CHECK: [@a, @b, @c, 64 : i32] {{.*}} after [1] programmatic [1]
    plan.launch @add [@a, @b, @c, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // Its producer is not the node right before.
    // CHECK: [@b, @d, 64 : i32] {{.*}} after [1]{{$}}
    plan.launch @relu2 [@b, @d, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // A join.
    // CHECK: [@c, @d, @a, 64 : i32] {{.*}} after [2, 3]{{$}}
    plan.launch @add [@c, @d, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // The library's kernels do not wait, nor are they waited for.
    // CHECK: plan.gemm {{.*}} after [4]{{$}}
    plan.gemm @linear [@a, @w, @b, 1 : i32] bytes 0 flops 0
    // CHECK: [@b, @c, 64 : i32] {{.*}} after [5]{{$}}
    plan.launch @relu2 [@b, @c, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // More than half an SM.
    // CHECK: [@c, @d, 64 : i32] {{.*}} after [6]{{$}}
    plan.launch @relu2 [@c, @d, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 115713 bytes 0 flops 0
    // CHECK: [@d, @a, 64 : i32] {{.*}} after [7]{{$}}
    plan.launch @relu2 [@d, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 115712 bytes 0 flops 0
  }
}

// A loop's own node waits for what its entry's nodes leave; the entry's edges stay.
// CHECK-LABEL: plan.program @sm_100a
plan.program @sm_100a precision "f32" min_driver 13000 {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.buffer @y in state : tensor<64xf32> at 256
  plan.buffer @z in state : tensor<64xf32> at 512
  plan.buffer @go in state : tensor<2xui32> at 768
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // CHECK: plan.launch @relu2 [@x, @y, {{.*}} after []{{$}}
    plan.launch @relu2 [@x, @y, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
  }
  plan.entry @g generate tokens 1 rows 1 inputs {} outputs {} {
    // CHECK: plan.launch @relu2 [@z, @x, {{.*}} after []{{$}}
    plan.launch @relu2 [@z, @x, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // CHECK: plan.while
    plan.while @e go @go[0] {
      // CHECK-NEXT: plan.launch @relu2 [@y, @z, {{.*}} after [0] programmatic [0]
      plan.launch @relu2 [@y, @z, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    }
  }
}
