// RUN: nanocc-opt %s --nano-fix-shapes -verify-diagnostics -split-input-file

// expected-error @+1 {{'nano.options' is missing: run nanocc, or set it by hand as an emitted stage shows it}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w"} {
}

// -----

// expected-error @+1 {{'nano.options' needs targets, batches, prefill, max_seq, precision and fuse}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32"}} {
}

// -----

// expected-error @+1 {{'nano.options' needs targets, batches, prefill, max_seq, precision and fuse}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options' names the unknown target}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["sm_1"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options' names the unknown target 7}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = [7], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options' needs a target, and batches and prefill in ascending order}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = [], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options' needs a target, and batches and prefill in ascending order}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 8, 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options': --max-seq 1 must be from 2 to 1048576}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 1, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options': --batch 0 must be from 1 to 1024}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 0>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options': --prefill 99 must be from 1 to max-seq times the largest batch, 16}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 99>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options': --precision nvfp4 has no kernels in this version; use one of f32, bf16, fp8}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "nvfp4", fuse = "all"}} {
}

// -----

// expected-error @+1 {{'nano.options': --fuse some is unknown; use none, all or some of attention,embed,norm,activation,residual}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "some"}} {
}

// -----

// expected-error @+1 {{'nano.options': --target names cpu twice}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu", "cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}

// -----

// expected-error @+1 {{a model needs a function @forward with a body}}
module attributes {nano.model = {name = "m", layers = 1, width = 8, heads = 2, kv_heads = 1, head_dim = 4, vocab = 10, sequence_len = 16}, nano.weights = "w", nano.options = {targets = ["cpu"], batches = array<i64: 1>, prefill = array<i64: 4>, max_seq = 16, precision = "f32", fuse = "all"}} {
}
