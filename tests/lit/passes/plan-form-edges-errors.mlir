// The pass has no diagnostics: of a family it does not know, every argument may be written.
// RUN: nanocc-opt %s --plan-form-edges | FileCheck %s

plan.program @cpu precision "f32" min_driver 0 {
  plan.kernel @k meaning "unheard_of" {}
  plan.buffer @x in state : tensor<64xf32> at 0
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // CHECK: after []
    plan.launch @k [@x] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
    // CHECK: after [0]
    plan.launch @k [@x] grid [1, 1, 1] block [32, 1, 1] shared 0 bytes 0 flops 0
  }
}
