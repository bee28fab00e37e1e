// Buffers may share bytes if they are not alive at once, and nodes need no edge if one orders them already.
// RUN: nanocc-opt %s --plan-verify > %t
// RUN: nanocc-opt %s | diff - %t

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.buffer @a in arena : tensor<64xf32> at 0 live @e 0 to 1
  plan.buffer @b in arena : tensor<64xf32> at 0 live @e 2 to 3
  plan.buffer @c in arena : tensor<64xf32> at 256 live @e 1 to 2
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    plan.launch @relu2 [@x, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after []
    plan.launch @relu2 [@a, @c, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0]
    plan.launch @relu2 [@c, @b, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [1]
  }
}
