// RUN: nanocc-opt %s -verify-diagnostics -split-input-file

// expected-error @+1 {{memory needs 'kv' in bytes}}
plan.program @cpu precision "f32" min_driver 0 memory {constants = 0} {}

// -----

// expected-error @+1 {{memory needs 'constants' in bytes}}
plan.program @cpu precision "f32" min_driver 0 memory {constants = -1} {}

// -----

// expected-error @+1 {{'plan.buffer' op expects parent op 'plan.program'}}
plan.buffer @b in state : tensor<4xf32>

// -----

func.func @f() {
  // expected-error @+1 {{'plan.launch' op expects parent op to be one of 'plan.entry, plan.while'}}
  plan.launch @k [] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  return
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{offset 128 must be a multiple of 256 from 0 to 2⁴⁸}}
  plan.buffer @b in state : tensor<4xf32> at 128
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{offset -256 must be a multiple of 256 from 0 to 2⁴⁸}}
  plan.buffer @b in state : tensor<4xf32> at -256
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{element type 'index' must be one of f32, bf16, i32, ui32, f8E4M3FN}}
  plan.buffer @b in state : tensor<4xindex>
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{must have positive extents and fewer than 2⁴⁸ bytes, has 'tensor<4294967296x4294967296xf32>'}}
  plan.buffer @b in state : tensor<4294967296x4294967296xf32>
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{must have positive extents and fewer than 2⁴⁸ bytes}}
  plan.buffer @b in state : tensor<0xf32>
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{an arena buffer, and only that, lives in one entry}}
  plan.buffer @b in arena : tensor<4xf32>
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{an arena buffer, and only that, lives in one entry}}
  plan.buffer @b in kv : tensor<4xf32> live @e 0 to 1
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{needs a lifetime: first node, and last node not before it}}
  plan.buffer @b in arena : tensor<4xf32> live @e 2 to 1
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{a part must name a plan.buffer of this program}}
  plan.constant [@nowhere] = [0] of [] [#plan.rope<1.0e4 : f64 positions 2 head_size 2>]
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{has one part or more, and a tensor of the recipe for each}}
  plan.constant [@b] = [] of [] []
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{unknown step 1 : i64}}
  plan.constant [@b] = [0] of [] [1]
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{@w is not a plan.parameter of this module}}
  plan.constant [@b] = [1] of [@w] [#plan.cast<0 to f32>]
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{#plan.cast<0 to f32> takes tensor 0, which is not one before it}}
  plan.constant [@b] = [0] of [] [#plan.cast<0 to f32>]
}

// -----

plan.parameter @w [4] from "w"
plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{#plan.slice<1 axis 0 from 0 to 2> is a value step on tensor 1, which a layout step made}}
  plan.constant [@b] = [2] of [@w] [#plan.pad<0 axis 0 by 1 and 0>, #plan.slice<1 axis 0 from 0 to 2>]
}

// -----

plan.parameter @w [4] from "w"
plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  // expected-error @+1 {{a part holds tensor 3 of 3}}
  plan.constant [@b] = [3] of [@w] [#plan.quantize<0 to e4m3 axis 0 group 0>]
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{has one part or more}}
  plan.ring "layer 0" []
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{a part must name a plan.buffer of this program}}
  plan.ring "layer 0" [@nowhere]
}

// -----

// expected-error @+1 {{a rotary table has positions and an even head size}}
module attributes {step = #plan.rope<1.0e4 : f64 positions 2 head_size 3>} {}

// -----

// expected-error @+1 {{a rotary table's base is a positive f64}}
module attributes {step = #plan.rope<-1.0 : f64 positions 2 head_size 2>} {}

// -----

// expected-error @+1 {{a cast is of a tensor to f32 or bf16}}
module attributes {step = #plan.cast<0 to f16>} {}

// -----

// expected-error @+1 {{a concatenation is of one tensor or more along an axis}}
module attributes {step = #plan.concatenate<[0, 1] axis -1>} {}

// -----

// expected-error @+1 {{a slice is of a tensor's axis, from an index to a larger one}}
module attributes {step = #plan.slice<0 axis 0 from 2 to 2>} {}

// -----

// expected-error @+1 {{a tensor is quantized along an axis, in groups of a size or of 0, the whole axis}}
module attributes {step = #plan.quantize<0 to e4m3 axis 0 group -1>} {}

// -----

// expected-error @+1 {{a permutation's order names each axis once}}
module attributes {step = #plan.permute<0 order [0, 2]>} {}

// -----

// expected-error @+1 {{a permutation's order names each axis once}}
module attributes {step = #plan.permute<0 view [4, 2, 2] order [1, 0]>} {}

// -----

// expected-error @+1 {{a permutation is of a tensor, seen with positive extents}}
module attributes {step = #plan.permute<0 view [4, 0] order [1, 0]>} {}

// -----

// expected-error @+1 {{a tensor's axis is padded by 0 or more zeros at each end}}
module attributes {step = #plan.pad<0 axis 0 by -1 and 0>} {}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  // expected-error @+1 {{binding 'x' must name a plan.buffer of this program}}
  plan.entry @e decode tokens 1 rows 1 inputs {x = @nowhere} outputs {} {}
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{'plan.kernel' op expects parent op 'plan.program'}}
    plan.kernel @j meaning "scale" {T = f32}
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{'kern.ref' op is not a node: an entry holds plan.launch and plan.gemm}}
    %0 = kern.ref @b : tensor<4xf32>
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{@k is not a plan.kernel of this program}}
    plan.launch @k [] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{argument 0 must name a plan.buffer of this program}}
    plan.launch @k [@nowhere] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{argument 1 must be a buffer, an i32, an f32 or a condition, is 1 : i64}}
    plan.launch @k [@b, 1] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{grid must be three positive extents}}
    plan.launch @k [@b] grid [1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{block must be three positive extents}}
    plan.launch @k [@b] grid [1, 1, 1] block [1, 0, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{a block has at most 1024 threads}}
    plan.launch @k [@b] grid [1, 1, 1] block [65536, 65536, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{programmatic node 0 is not one it comes after}}
    plan.launch @k [@b] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0 after [] programmatic [0]
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @b in constant : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{@nothing is not a plan.kernel of this program}}
    plan.gemm @nothing [@b] bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @go in state : tensor<2xui32>
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{is a loop: only a generate entry has them}}
    plan.while @e go @go[0] {
    }
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @go in state : tensor<2xui32>
  plan.buffer @b in state : tensor<4xf32>
  plan.kernel @k meaning "scale" {T = f32}
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
  }
  plan.entry @g generate tokens 1 rows 1 inputs {} outputs {} {
    plan.while @e go @go[0] {
    }
    // expected-error @+1 {{comes after a loop: an entry's nodes come before}}
    plan.launch @k [@b] grid [1, 1, 1] block [1, 1, 1] shared 0 bytes 0 flops 0
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @go in state : tensor<2xui32>
  plan.entry @g generate tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{repeats @g, which is not a prefill or decode entry of this program}}
    plan.while @g go @go[0] {
    }
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @go in state : tensor<2xui32>
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
  }
  plan.entry @g generate tokens 1 rows 1 inputs {} outputs {} {
    // expected-error @+1 {{goes on by element 2 of @go, which is no u32 of it}}
    plan.while @e go @go[2] {
    }
  }
}

// -----

plan.program @cpu precision "f32" min_driver 0 {
  plan.buffer @go in state : tensor<2xui32>
  plan.entry @e decode tokens 1 rows 1 inputs {} outputs {} {
  }
  plan.entry @g generate tokens 1 rows 1 inputs {} outputs {} {
    plan.while @e go @go[0] {
      // expected-error @+1 {{is not a node: a loop holds plan.launch and plan.gemm}}
      builtin.module {
      }
    }
  }
}
