// Offsets are multiples of 256 bytes. Constants, rings, state and workspace lie end to end; the arena of each entry is filled
// by first fit, largest first.
// RUN: nanocc-opt %s --plan-place-memory | FileCheck %s

// Without reuse the buffers of an entry lie end to end, largest first: b, a, d, c are 2304 bytes, w, z, v, y are 2304.
// RUN: nanocc-opt %s --plan-place-memory="reuse=false" --statistics 2>&1 | FileCheck %s --check-prefix=APART
// APART: plan.program @cpu {{.*}} memory {arena = 2304 : i64
// APART: plan.buffer @a {{.*}} at 1024 live
// APART: plan.buffer @b {{.*}} at 0 live
// APART: plan.buffer @c {{.*}} at 2048 live
// APART: plan.buffer @d {{.*}} at 1536 live
// APART: plan.program @sm_80 {{.*}} memory {arena = 2304 : i64
// APART: 4608 plan-place-memory - Bytes of all arenas
// APART-NOT: saved

// With it, @e of the first saves 2304 - 1536, that of the second 2304 - 2048.
// RUN: nanocc-opt %s --plan-place-memory --statistics -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAVED
// SAVED: 3584 plan-place-memory - Bytes of all arenas
// SAVED: 15 plan-place-memory - Buffers placed
// SAVED: 1024 plan-place-memory - Bytes of arenas saved by sharing

// arena: the larger of @e (1536) and @f (512); constants: 256 + 256; kv: 512; mapped: 512; state: 256; workspace: 1024.
// CHECK: memory {arena = 1536 : i64, constants = 512 : i64, kv = 512 : i64, mapped = 512 : i64, state = 256 : i64, workspace = 1024 : i64}
plan.program @cpu precision "f32" min_driver 0 {
  // 1 float, padded to 256: the next begins at 256.
  // CHECK: plan.buffer @c0 {{.*}} at 0
  plan.buffer @c0 in constant : tensor<1xf32>
  // CHECK: plan.buffer @c1 {{.*}} at 256
  plan.buffer @c1 in constant : tensor<64xf32>
  // CHECK: plan.buffer @kv {{.*}} at 0
  plan.buffer @kv in kv : tensor<1x2x1x16x4xf32>
  // CHECK: plan.buffer @ring {{.*}} at 0
  plan.buffer @ring in mapped : tensor<80xi32>
  // CHECK: plan.buffer @s {{.*}} at 0
  plan.buffer @s in state : tensor<8xi32>
  // CHECK: plan.buffer @work {{.*}} at 0
  plan.buffer @work in workspace : tensor<256xi32>

  // Placed in the order b (1024 bytes), a (512), d (512), c (256):
  //   b [0, 1024) nodes 1-2
  //   a overlaps b in time: behind it, [1024, 1536) nodes 0-1
  //   d overlaps neither: [0, 512) nodes 3-4
  //   c overlaps b and d in time: 0 and 512 are b's or d's, 1024 is free since a ended at node 1: [1024, 1280) nodes 2-3
  // CHECK: plan.buffer @a {{.*}} at 1024 live @e 0 to 1
  plan.buffer @a in arena : tensor<128xf32> live @e 0 to 1
  // CHECK: plan.buffer @b {{.*}} at 0 live @e 1 to 2
  plan.buffer @b in arena : tensor<256xf32> live @e 1 to 2
  // CHECK: plan.buffer @c {{.*}} at 1024 live @e 2 to 3
  plan.buffer @c in arena : tensor<64xf32> live @e 2 to 3
  // CHECK: plan.buffer @d {{.*}} at 0 live @e 3 to 4
  plan.buffer @d in arena : tensor<128xf32> live @e 3 to 4
  // Another entry never runs at the same time: it starts at 0 again; 65 floats are 260 bytes, padded to 512.
  // CHECK: plan.buffer @g {{.*}} at 0 live @f 0 to 0
  plan.buffer @g in arena : tensor<65xf32> live @f 0 to 0
}

// w [0, 1024), z [1024, 1536), v (384 bytes, padded to 512) behind both, [1536, 2048). When y is alive z is dead: y takes the
// gap between w and v, [1024, 1280).
// CHECK-LABEL: plan.program @sm_80
plan.program @sm_80 precision "f32" min_driver 0 {
  // CHECK: plan.buffer @w {{.*}} at 0
  plan.buffer @w in arena : tensor<256xf32> live @e 0 to 3
  // CHECK: plan.buffer @z {{.*}} at 1024
  plan.buffer @z in arena : tensor<128xf32> live @e 0 to 1
  // CHECK: plan.buffer @v {{.*}} at 1536
  plan.buffer @v in arena : tensor<96xf32> live @e 1 to 3
  // CHECK: plan.buffer @y {{.*}} at 1024
  plan.buffer @y in arena : tensor<64xf32> live @e 2 to 3
}
