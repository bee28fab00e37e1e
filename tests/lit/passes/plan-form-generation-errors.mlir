// The pass has no diagnostics: a program that no session could generate with is left as it is.
// RUN: nanocc-opt %s > %t
// RUN: nanocc-opt %s --plan-form-generation | diff %t -

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16, max_seq = 16}} {
  // Nothing to decode with.
  plan.program @cpu precision "f32" min_driver 0 {
    plan.buffer @next in state : tensor<2xi32>
    plan.buffer @sampling in state : tensor<8xui32>
    plan.entry @prefill_8 prefill tokens 8 rows 2 inputs {sampling = @sampling} outputs {next = @next} {
    }
  }
  // Nothing is sampled.
  plan.program @sm_80 precision "f32" min_driver 13000 {
    plan.buffer @next in state : tensor<2xi32>
    plan.buffer @sampling in state : tensor<8xui32>
    plan.entry @prefill_8 prefill tokens 8 rows 2 inputs {sampling = @sampling} outputs {next = @next} {
    }
    plan.entry @decode_2 decode tokens 2 rows 2 inputs {sampling = @sampling} outputs {} {
    }
  }
  // Prompts of 2³⁰ tokens together do not fit 32-bit indices.
  plan.program @sm_90a precision "f32" min_driver 13000 {
    plan.buffer @next in state : tensor<2xi32>
    plan.buffer @sampling in state : tensor<8xui32>
    plan.entry @prefill_8 prefill tokens 8 rows 67108864 inputs {sampling = @sampling} outputs {next = @next} {
    }
    plan.entry @decode_2 decode tokens 67108864 rows 67108864 inputs {sampling = @sampling} outputs {next = @next} {
    }
  }
}
