module attributes {nano.model = {head_dim = 32 : i64, heads = 2 : i64, kv_heads = 2 : i64, layers = 3 : i64, name = "nanochat-d3", sequence_len = 256 : i64, vocab = 512 : i64, width = 64 : i64}, nano.weights = "model.safetensors"} {
  nano.param @lm_head : tensor<512x64xbf16> from "lm_head.weight"
  nano.param @resid_lambdas : tensor<3xf32> from "resid_lambdas"
  nano.param @h.0.attn.c_k : tensor<64x64xbf16> from "transformer.h.0.attn.c_k.weight"
  nano.param @h.0.attn.c_proj : tensor<64x64xbf16> from "transformer.h.0.attn.c_proj.weight"
  nano.param @h.0.attn.c_q : tensor<64x64xbf16> from "transformer.h.0.attn.c_q.weight"
  nano.param @h.0.attn.c_v : tensor<64x64xbf16> from "transformer.h.0.attn.c_v.weight"
  nano.param @h.0.mlp.c_fc : tensor<256x64xbf16> from "transformer.h.0.mlp.c_fc.weight"
  nano.param @h.0.mlp.c_proj : tensor<64x256xbf16> from "transformer.h.0.mlp.c_proj.weight"
  nano.param @h.1.attn.c_k : tensor<64x64xbf16> from "transformer.h.1.attn.c_k.weight"
  nano.param @h.1.attn.c_proj : tensor<64x64xbf16> from "transformer.h.1.attn.c_proj.weight"
  nano.param @h.1.attn.c_q : tensor<64x64xbf16> from "transformer.h.1.attn.c_q.weight"
  nano.param @h.1.attn.c_v : tensor<64x64xbf16> from "transformer.h.1.attn.c_v.weight"
  nano.param @h.1.mlp.c_fc : tensor<256x64xbf16> from "transformer.h.1.mlp.c_fc.weight"
  nano.param @h.1.mlp.c_proj : tensor<64x256xbf16> from "transformer.h.1.mlp.c_proj.weight"
  nano.param @h.2.attn.c_k : tensor<64x64xbf16> from "transformer.h.2.attn.c_k.weight"
  nano.param @h.2.attn.c_proj : tensor<64x64xbf16> from "transformer.h.2.attn.c_proj.weight"
  nano.param @h.2.attn.c_q : tensor<64x64xbf16> from "transformer.h.2.attn.c_q.weight"
  nano.param @h.2.attn.c_v : tensor<64x64xbf16> from "transformer.h.2.attn.c_v.weight"
  nano.param @h.2.mlp.c_fc : tensor<256x64xbf16> from "transformer.h.2.mlp.c_fc.weight"
  nano.param @h.2.mlp.c_proj : tensor<64x256xbf16> from "transformer.h.2.mlp.c_proj.weight"
  nano.param @wte : tensor<512x64xbf16> from "transformer.wte.weight"
  nano.param @x0_lambdas : tensor<3xf32> from "x0_lambdas"
  nano.cache @kv.0 heads 2 dim 32 window 128
  nano.cache @kv.1 heads 2 dim 32 window 256
  nano.cache @kv.2 heads 2 dim 32 window 256
  func.func @forward(%arg0: tensor<?x?xi32>) -> tensor<?x?x512xf32> {
    %0 = nano.embed %arg0, @wte : tensor<?x?xi32> -> tensor<?x?x64xf32>
    %1 = nano.rms_norm %0 : tensor<?x?x64xf32>
    %2 = nano.mix %1, %1 resid @resid_lambdas skip @x0_lambdas layer 0 : tensor<?x?x64xf32>
    %3 = nano.rms_norm %2 : tensor<?x?x64xf32>
    %4 = nano.linear %3, @h.0.attn.c_q : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %5 = nano.linear %3, @h.0.attn.c_k : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %6 = nano.linear %3, @h.0.attn.c_v : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %7 = nano.rope %4 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %8 = nano.rms_norm %7 groups 2 : tensor<?x?x64xf32>
    %9 = nano.rope %5 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %10 = nano.rms_norm %9 groups 2 : tensor<?x?x64xf32>
    %11 = nano.attention %8, %10, %6 cache @kv.0 : tensor<?x?x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32>
    %12 = nano.linear %11, @h.0.attn.c_proj : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %13 = nano.add %2, %12 : tensor<?x?x64xf32>
    %14 = nano.rms_norm %13 : tensor<?x?x64xf32>
    %15 = nano.linear %14, @h.0.mlp.c_fc : tensor<?x?x64xf32> -> tensor<?x?x256xf32>
    %16 = nano.relu2 %15 : tensor<?x?x256xf32>
    %17 = nano.linear %16, @h.0.mlp.c_proj : tensor<?x?x256xf32> -> tensor<?x?x64xf32>
    %18 = nano.add %13, %17 : tensor<?x?x64xf32>
    %19 = nano.mix %18, %1 resid @resid_lambdas skip @x0_lambdas layer 1 : tensor<?x?x64xf32>
    %20 = nano.rms_norm %19 : tensor<?x?x64xf32>
    %21 = nano.linear %20, @h.1.attn.c_q : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %22 = nano.linear %20, @h.1.attn.c_k : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %23 = nano.linear %20, @h.1.attn.c_v : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %24 = nano.rope %21 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %25 = nano.rms_norm %24 groups 2 : tensor<?x?x64xf32>
    %26 = nano.rope %22 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %27 = nano.rms_norm %26 groups 2 : tensor<?x?x64xf32>
    %28 = nano.attention %25, %27, %23 cache @kv.1 : tensor<?x?x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32>
    %29 = nano.linear %28, @h.1.attn.c_proj : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %30 = nano.add %19, %29 : tensor<?x?x64xf32>
    %31 = nano.rms_norm %30 : tensor<?x?x64xf32>
    %32 = nano.linear %31, @h.1.mlp.c_fc : tensor<?x?x64xf32> -> tensor<?x?x256xf32>
    %33 = nano.relu2 %32 : tensor<?x?x256xf32>
    %34 = nano.linear %33, @h.1.mlp.c_proj : tensor<?x?x256xf32> -> tensor<?x?x64xf32>
    %35 = nano.add %30, %34 : tensor<?x?x64xf32>
    %36 = nano.mix %35, %1 resid @resid_lambdas skip @x0_lambdas layer 2 : tensor<?x?x64xf32>
    %37 = nano.rms_norm %36 : tensor<?x?x64xf32>
    %38 = nano.linear %37, @h.2.attn.c_q : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %39 = nano.linear %37, @h.2.attn.c_k : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %40 = nano.linear %37, @h.2.attn.c_v : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %41 = nano.rope %38 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %42 = nano.rms_norm %41 groups 2 : tensor<?x?x64xf32>
    %43 = nano.rope %39 heads 2 base 1.000000e+04 bf16_table : tensor<?x?x64xf32>
    %44 = nano.rms_norm %43 groups 2 : tensor<?x?x64xf32>
    %45 = nano.attention %42, %44, %40 cache @kv.2 : tensor<?x?x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32>
    %46 = nano.linear %45, @h.2.attn.c_proj : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %47 = nano.add %36, %46 : tensor<?x?x64xf32>
    %48 = nano.rms_norm %47 : tensor<?x?x64xf32>
    %49 = nano.linear %48, @h.2.mlp.c_fc : tensor<?x?x64xf32> -> tensor<?x?x256xf32>
    %50 = nano.relu2 %49 : tensor<?x?x256xf32>
    %51 = nano.linear %50, @h.2.mlp.c_proj : tensor<?x?x256xf32> -> tensor<?x?x64xf32>
    %52 = nano.add %47, %51 : tensor<?x?x64xf32>
    %53 = nano.rms_norm %52 : tensor<?x?x64xf32>
    %54 = nano.linear %53, @lm_head : tensor<?x?x64xf32> -> tensor<?x?x512xf32>
    %55 = nano.softcap %54 cap 1.500000e+01 : tensor<?x?x512xf32> -> tensor<?x?x512xf32>
    return %55 : tensor<?x?x512xf32>
  }
}

