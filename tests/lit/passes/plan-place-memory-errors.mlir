// The pass has no diagnostics: nothing to place gives nothing, and places given before are given anew.
// RUN: nanocc-opt %s --plan-place-memory | FileCheck %s

// CHECK: plan.program @cpu {{.*}} memory {arena = 0 : i64, constants = 0 : i64, kv = 0 : i64, state = 0 : i64, workspace = 0 : i64}
plan.program @cpu precision "f32" min_driver 0 {
}

// CHECK: plan.program @sm_80 {{.*}} memory {arena = 0 : i64, constants = 0 : i64, kv = 0 : i64, state = 256 : i64, workspace = 0 : i64}
plan.program @sm_80 precision "f32" min_driver 0 memory {constants = 512, kv = 512, state = 512, arena = 512, workspace = 512} {
  // CHECK: plan.buffer @s in state : tensor<8xi32> at 0
  plan.buffer @s in state : tensor<8xi32> at 512
}
