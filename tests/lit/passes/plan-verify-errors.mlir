// RUN: nanocc-opt %s --plan-verify -verify-diagnostics -split-input-file

// expected-error @+1 {{has no memory: plan-place-memory must run first}}
plan.program @cpu precision "f32" min_driver 0 {
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  // expected-error @+1 {{has no offset: plan-place-memory must run first}}
  plan.buffer @x in state : tensor<64xf32>
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  // expected-error @+1 {{ends beyond the 256 bytes of its space}}
  plan.buffer @x in state : tensor<64xf32> at 256
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  // expected-error @+1 {{'plan.buffer' op shares bytes with @b while both are alive}}
  plan.buffer @a in arena : tensor<64xf32> at 0 live @e 0 to 2
  plan.buffer @b in arena : tensor<64xf32> at 0 live @e 2 to 3
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 1024, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  // expected-error @+1 {{'plan.buffer' op shares bytes with @b while both are alive}}
  plan.buffer @a in arena : tensor<128xf32> at 0 live @e 0 to 2
  plan.buffer @b in arena : tensor<64xf32> at 256 live @e 1 to 3
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  // expected-error @+1 {{'plan.buffer' op shares bytes with @y while both are alive}}
  plan.buffer @x in state : tensor<32xf32> at 0
  plan.buffer @y in state : tensor<32xf32> at 0
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{has no edges: plan-form-edges must run first}}
    plan.launch @relu2 [@x, @x, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{waits for node 0, which is not before it}}
    plan.launch @relu2 [@x, @x, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0]
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{waits for node -1, which is not before it}}
    plan.launch @relu2 [@x, @x, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [-1]
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 256, arena = 512, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.buffer @a in arena : tensor<64xf32> at 0 live @e 0 to 1
  plan.buffer @b in arena : tensor<64xf32> at 256 live @e 1 to 1
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    plan.launch @relu2 [@x, @a, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after []
    // expected-error @+1 {{touches bytes of node 0 without an edge to it}}
    plan.launch @relu2 [@a, @b, 64 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after []
  }
}

// -----

plan.program @sm_90a precision "f32" min_driver 0 memory {constants = 256, kv = 0, state = 512, arena = 0, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.kernel @linear meaning "product" {T = f32, O = f32, K = 8, N = 8}
  plan.buffer @w in constant : tensor<8x8xf32> at 0
  plan.buffer @x in state : tensor<8xf32> at 0
  plan.buffer @y in state : tensor<8xf32> at 256
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    plan.gemm @linear [@x, @w, @y, 1 : i32] bytes 0 flops 0 after []
    // expected-error @+1 {{has a programmatic edge from node 0, which is not a launch}}
    plan.launch @relu2 [@y, @x, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0] programmatic [0]
  }
}

// -----

plan.program @sm_90a precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 512, arena = 0, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<8xf32> at 0
  plan.buffer @y in state : tensor<8xf32> at 256
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    plan.launch @relu2 [@x, @y, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after []
    plan.launch @relu2 [@x, @y, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0]
    // expected-error @+1 {{has a programmatic edge and waits for 2 nodes: a join needs full edges}}
    plan.launch @relu2 [@y, @x, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0, 1] programmatic [1]
  }
}

// -----

plan.program @sm_90a precision "f32" min_driver 0 memory {constants = 0, kv = 0, state = 512, arena = 0, workspace = 0} {
  plan.kernel @relu2 meaning "relu2" {T = f32}
  plan.buffer @x in state : tensor<8xf32> at 0
  plan.buffer @y in state : tensor<8xf32> at 256
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    plan.launch @relu2 [@x, @y, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 131072 bytes 0 flops 0 after []
    // expected-error @+1 {{but 131072 bytes of shared memory are more than half an SM (115712): one launch cannot be resident beside the other}}
    plan.launch @relu2 [@y, @x, 8 : i32] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0 after [0] programmatic [0]
  }
}
