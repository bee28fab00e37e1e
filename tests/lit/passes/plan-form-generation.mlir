// A generate entry for every prefill and decode entry: feed, then prefill with a feed behind it, then decode with an advance
// behind it. Buffers are shared by all; an input that an entry lacks gets one that nothing reads. Again, nothing is added.
// RUN: nanocc-opt %s --plan-form-generation > %t
// RUN: FileCheck %s < %t
// RUN: nanocc-opt %t --plan-form-generation | diff %t -

module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16, max_seq = 16}} {
  // CHECK: plan.program @sm_90a
  plan.program @sm_90a precision "bf16" min_driver 13000 {
    plan.buffer @p.tokens in state : tensor<8xi32>
    plan.buffer @p.last in state : tensor<2xi32>
    plan.buffer @p.next in state : tensor<2xi32>
    plan.buffer @p.sampling in state : tensor<8xui32>
    plan.buffer @d.tokens in state : tensor<2xi32>
    plan.buffer @d.last in state : tensor<2xi32>
    plan.buffer @d.next in state : tensor<2xi32>
    // Two rows: 68 words and 2 a row, 16 positions a row, 2 words and 2 a row, two words, 8 words and a pair for each
    // position and end of a row.
    // CHECK: plan.buffer @generate.request in state : tensor<72xi32>
    // CHECK-NEXT: plan.buffer @generate.prompt in state : tensor<32xi32>
    // CHECK-NEXT: plan.buffer @generate.progress in state : tensor<6xi32>
    // CHECK-NEXT: plan.buffer @generate.go in state : tensor<2xui32>
    // CHECK-NEXT: plan.buffer @generate.ring in mapped : tensor<76xi32>
    // CHECK-NEXT: plan.buffer @prefill_8.prev in state : tensor<8xi32>
    // CHECK: plan.buffer @prefill_8.starts in state : tensor<2xi32>
    // CHECK: plan.buffer @decode_2.prev in state : tensor<2xi32>
    // CHECK: plan.kernel @feed_simt_16 meaning "feed" engine "simt" {max_seq = 16 : i64} includes [{{.*}}] source
    // CHECK: plan.kernel @advance_simt_16 meaning "advance" engine "simt" {max_seq = 16 : i64} includes [{{.*}}] source
    plan.entry @prefill_8 prefill tokens 8 rows 2 inputs {tokens = @p.tokens, last = @p.last, sampling = @p.sampling} outputs {next = @p.next} {
    }
    plan.entry @decode_2 decode tokens 2 rows 2 inputs {tokens = @d.tokens, last = @d.last, sampling = @p.sampling} outputs {next = @d.next} {
    }
    // CHECK: plan.entry @generate_8_2 generate tokens 8 rows 2 inputs {prompt = @generate.prompt, request = @generate.request} outputs {ring = @generate.ring} {
    // CHECK-NEXT: plan.launch @feed_simt_16 [@generate.prompt, @generate.request, @generate.request, @generate.progress, @generate.go, @generate.ring, @p.tokens, @prefill_8.prev,
    // CHECK-SAME: @d.tokens, @decode_2.prev,
    // CHECK-SAME: 8 : i32, 2 : i32, 2 : i32, 0 : i32, #plan.condition<0>, #plan.condition<1>] grid [1, 1, 1] block [256, 1, 1]
    // CHECK-NEXT: plan.while @prefill_8 go @generate.go[0] {
    // CHECK-NEXT: plan.launch @feed_simt_16 [@generate.prompt, @generate.request, @p.next,
    // CHECK-SAME: 8 : i32, 2 : i32, 2 : i32, 1 : i32, #plan.condition<0>, #plan.condition<1>]
    // CHECK-NEXT: }
    // CHECK-NEXT: plan.while @decode_2 go @generate.go[1] {
    // CHECK-NEXT: plan.launch @advance_simt_16 [@generate.request, @d.next, @generate.progress, @generate.go, @generate.ring, @d.tokens, @decode_2.prev,
    // CHECK-SAME: 2 : i32, #plan.condition<1>] grid [1, 1, 1] block [128, 1, 1]
    // CHECK-NEXT: }
    // CHECK-NEXT: }
    // CHECK-NOT: generate_
  }
}
