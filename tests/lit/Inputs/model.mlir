module attributes {nano.model = {head_dim = 64 : i64, heads = 2 : i64, kv_heads = 2 : i64, layers = 4 : i64, name = "nanochat-d4", sequence_len = 512 : i64, vocab = 512 : i64, width = 128 : i64}, nano.weights = "model.safetensors"} {
  nano.param @backout_lambda : tensor<1xf32> from "backout_lambda"
  nano.param @lm_head : tensor<512x128xbf16> from "lm_head.weight"
  nano.param @resid_lambdas : tensor<4xf32> from "resid_lambdas"
  nano.param @smear_gate : tensor<1x24xbf16> from "smear_gate.weight"
  nano.param @smear_lambda : tensor<1xf32> from "smear_lambda"
  nano.param @h.0.attn.c_k : tensor<128x128xbf16> from "transformer.h.0.attn.c_k.weight"
  nano.param @h.0.attn.c_proj : tensor<128x128xbf16> from "transformer.h.0.attn.c_proj.weight"
  nano.param @h.0.attn.c_q : tensor<128x128xbf16> from "transformer.h.0.attn.c_q.weight"
  nano.param @h.0.attn.c_v : tensor<128x128xbf16> from "transformer.h.0.attn.c_v.weight"
  nano.param @h.0.mlp.c_fc : tensor<512x128xbf16> from "transformer.h.0.mlp.c_fc.weight"
  nano.param @h.0.mlp.c_proj : tensor<128x512xbf16> from "transformer.h.0.mlp.c_proj.weight"
  nano.param @h.1.attn.c_k : tensor<128x128xbf16> from "transformer.h.1.attn.c_k.weight"
  nano.param @h.1.attn.c_proj : tensor<128x128xbf16> from "transformer.h.1.attn.c_proj.weight"
  nano.param @h.1.attn.c_q : tensor<128x128xbf16> from "transformer.h.1.attn.c_q.weight"
  nano.param @h.1.attn.c_v : tensor<128x128xbf16> from "transformer.h.1.attn.c_v.weight"
  nano.param @h.1.attn.ve_gate : tensor<2x12xbf16> from "transformer.h.1.attn.ve_gate.weight"
  nano.param @h.1.mlp.c_fc : tensor<512x128xbf16> from "transformer.h.1.mlp.c_fc.weight"
  nano.param @h.1.mlp.c_proj : tensor<128x512xbf16> from "transformer.h.1.mlp.c_proj.weight"
  nano.param @h.2.attn.c_k : tensor<128x128xbf16> from "transformer.h.2.attn.c_k.weight"
  nano.param @h.2.attn.c_proj : tensor<128x128xbf16> from "transformer.h.2.attn.c_proj.weight"
  nano.param @h.2.attn.c_q : tensor<128x128xbf16> from "transformer.h.2.attn.c_q.weight"
  nano.param @h.2.attn.c_v : tensor<128x128xbf16> from "transformer.h.2.attn.c_v.weight"
  nano.param @h.2.mlp.c_fc : tensor<512x128xbf16> from "transformer.h.2.mlp.c_fc.weight"
  nano.param @h.2.mlp.c_proj : tensor<128x512xbf16> from "transformer.h.2.mlp.c_proj.weight"
  nano.param @h.3.attn.c_k : tensor<128x128xbf16> from "transformer.h.3.attn.c_k.weight"
  nano.param @h.3.attn.c_proj : tensor<128x128xbf16> from "transformer.h.3.attn.c_proj.weight"
  nano.param @h.3.attn.c_q : tensor<128x128xbf16> from "transformer.h.3.attn.c_q.weight"
  nano.param @h.3.attn.c_v : tensor<128x128xbf16> from "transformer.h.3.attn.c_v.weight"
  nano.param @h.3.attn.ve_gate : tensor<2x12xbf16> from "transformer.h.3.attn.ve_gate.weight"
  nano.param @h.3.mlp.c_fc : tensor<512x128xbf16> from "transformer.h.3.mlp.c_fc.weight"
  nano.param @h.3.mlp.c_proj : tensor<128x512xbf16> from "transformer.h.3.mlp.c_proj.weight"
  nano.param @wte : tensor<512x128xbf16> from "transformer.wte.weight"
  nano.param @value_embeds.1 : tensor<512x128xbf16> from "value_embeds.1.weight"
  nano.param @value_embeds.3 : tensor<512x128xbf16> from "value_embeds.3.weight"
  nano.param @x0_lambdas : tensor<4xf32> from "x0_lambdas"
  nano.cache @kv.0 heads 2 dim 64 window 128
  nano.cache @kv.1 heads 2 dim 64 window 128
  nano.cache @kv.2 heads 2 dim 64 window 128
  nano.cache @kv.3 heads 2 dim 64 window 512
  func.func @forward(%arg0: tensor<?x?xi32>) -> tensor<?x?x512xf32> {
    %0 = nano.embed %arg0, @wte : tensor<?x?xi32> -> tensor<?x?x128xf32>
    %1 = nano.rms_norm %0 : tensor<?x?x128xf32>
    %2 = nano.previous %arg0 : tensor<?x?xi32>
    %3 = nano.embed %2, @wte : tensor<?x?xi32> -> tensor<?x?x128xf32>
    %4 = nano.rms_norm %3 : tensor<?x?x128xf32>
    %5 = nano.smear %1, %4 gate @smear_gate lambda @smear_lambda : tensor<?x?x128xf32>
    %6 = nano.mix %5, %5 resid @resid_lambdas skip @x0_lambdas layer 0 : tensor<?x?x128xf32>
    %7 = nano.rms_norm %6 : tensor<?x?x128xf32>
    %8 = nano.linear %7, @h.0.attn.c_q : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %9 = nano.linear %7, @h.0.attn.c_k : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %10 = nano.linear %7, @h.0.attn.c_v : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %11 = nano.rope %8 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %12 = nano.rms_norm %11 groups 2 : tensor<?x?x128xf32>
    %13 = nano.scale %12 by 1.200000e+00 : tensor<?x?x128xf32>
    %14 = nano.rope %9 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %15 = nano.rms_norm %14 groups 2 : tensor<?x?x128xf32>
    %16 = nano.scale %15 by 1.200000e+00 : tensor<?x?x128xf32>
    %17 = nano.attention %13, %16, %10 cache @kv.0 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?x128xf32>
    %18 = nano.linear %17, @h.0.attn.c_proj : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %19 = nano.add %6, %18 : tensor<?x?x128xf32>
    %20 = nano.rms_norm %19 : tensor<?x?x128xf32>
    %21 = nano.linear %20, @h.0.mlp.c_fc : tensor<?x?x128xf32> -> tensor<?x?x512xf32>
    %22 = nano.relu2 %21 : tensor<?x?x512xf32>
    %23 = nano.linear %22, @h.0.mlp.c_proj : tensor<?x?x512xf32> -> tensor<?x?x128xf32>
    %24 = nano.add %19, %23 : tensor<?x?x128xf32>
    %25 = nano.mix %24, %5 resid @resid_lambdas skip @x0_lambdas layer 1 : tensor<?x?x128xf32>
    %26 = nano.rms_norm %25 : tensor<?x?x128xf32>
    %27 = nano.linear %26, @h.1.attn.c_q : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %28 = nano.linear %26, @h.1.attn.c_k : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %29 = nano.linear %26, @h.1.attn.c_v : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %30 = nano.value_gate %29, %26, %arg0 table @value_embeds.1 gate @h.1.attn.ve_gate range 3.000000e+00 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?xi32>
    %31 = nano.rope %27 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %32 = nano.rms_norm %31 groups 2 : tensor<?x?x128xf32>
    %33 = nano.scale %32 by 1.200000e+00 : tensor<?x?x128xf32>
    %34 = nano.rope %28 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %35 = nano.rms_norm %34 groups 2 : tensor<?x?x128xf32>
    %36 = nano.scale %35 by 1.200000e+00 : tensor<?x?x128xf32>
    %37 = nano.attention %33, %36, %30 cache @kv.1 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?x128xf32>
    %38 = nano.linear %37, @h.1.attn.c_proj : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %39 = nano.add %25, %38 : tensor<?x?x128xf32>
    %40 = nano.rms_norm %39 : tensor<?x?x128xf32>
    %41 = nano.linear %40, @h.1.mlp.c_fc : tensor<?x?x128xf32> -> tensor<?x?x512xf32>
    %42 = nano.relu2 %41 : tensor<?x?x512xf32>
    %43 = nano.linear %42, @h.1.mlp.c_proj : tensor<?x?x512xf32> -> tensor<?x?x128xf32>
    %44 = nano.add %39, %43 : tensor<?x?x128xf32>
    %45 = nano.mix %44, %5 resid @resid_lambdas skip @x0_lambdas layer 2 : tensor<?x?x128xf32>
    %46 = nano.rms_norm %45 : tensor<?x?x128xf32>
    %47 = nano.linear %46, @h.2.attn.c_q : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %48 = nano.linear %46, @h.2.attn.c_k : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %49 = nano.linear %46, @h.2.attn.c_v : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %50 = nano.rope %47 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %51 = nano.rms_norm %50 groups 2 : tensor<?x?x128xf32>
    %52 = nano.scale %51 by 1.200000e+00 : tensor<?x?x128xf32>
    %53 = nano.rope %48 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %54 = nano.rms_norm %53 groups 2 : tensor<?x?x128xf32>
    %55 = nano.scale %54 by 1.200000e+00 : tensor<?x?x128xf32>
    %56 = nano.attention %52, %55, %49 cache @kv.2 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?x128xf32>
    %57 = nano.linear %56, @h.2.attn.c_proj : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %58 = nano.add %45, %57 : tensor<?x?x128xf32>
    %59 = nano.rms_norm %58 : tensor<?x?x128xf32>
    %60 = nano.linear %59, @h.2.mlp.c_fc : tensor<?x?x128xf32> -> tensor<?x?x512xf32>
    %61 = nano.relu2 %60 : tensor<?x?x512xf32>
    %62 = nano.linear %61, @h.2.mlp.c_proj : tensor<?x?x512xf32> -> tensor<?x?x128xf32>
    %63 = nano.add %58, %62 : tensor<?x?x128xf32>
    %64 = nano.mix %63, %5 resid @resid_lambdas skip @x0_lambdas layer 3 : tensor<?x?x128xf32>
    %65 = nano.rms_norm %64 : tensor<?x?x128xf32>
    %66 = nano.linear %65, @h.3.attn.c_q : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %67 = nano.linear %65, @h.3.attn.c_k : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %68 = nano.linear %65, @h.3.attn.c_v : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %69 = nano.value_gate %68, %65, %arg0 table @value_embeds.3 gate @h.3.attn.ve_gate range 3.000000e+00 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?xi32>
    %70 = nano.rope %66 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %71 = nano.rms_norm %70 groups 2 : tensor<?x?x128xf32>
    %72 = nano.scale %71 by 1.200000e+00 : tensor<?x?x128xf32>
    %73 = nano.rope %67 heads 2 base 1.000000e+05 : tensor<?x?x128xf32>
    %74 = nano.rms_norm %73 groups 2 : tensor<?x?x128xf32>
    %75 = nano.scale %74 by 1.200000e+00 : tensor<?x?x128xf32>
    %76 = nano.attention %72, %75, %69 cache @kv.3 : tensor<?x?x128xf32>, tensor<?x?x128xf32>, tensor<?x?x128xf32>
    %77 = nano.linear %76, @h.3.attn.c_proj : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %78 = nano.add %64, %77 : tensor<?x?x128xf32>
    %79 = nano.rms_norm %78 : tensor<?x?x128xf32>
    %80 = nano.linear %79, @h.3.mlp.c_fc : tensor<?x?x128xf32> -> tensor<?x?x512xf32>
    %81 = nano.relu2 %80 : tensor<?x?x512xf32>
    %82 = nano.linear %81, @h.3.mlp.c_proj : tensor<?x?x512xf32> -> tensor<?x?x128xf32>
    %83 = nano.add %78, %82 : tensor<?x?x128xf32>
    %84 = nano.backout %83, %63 lambda @backout_lambda : tensor<?x?x128xf32>
    %85 = nano.rms_norm %84 : tensor<?x?x128xf32>
    %86 = nano.linear %85, @lm_head : tensor<?x?x128xf32> -> tensor<?x?x512xf32>
    %87 = nano.softcap %86 cap 1.500000e+01 : tensor<?x?x512xf32> -> tensor<?x?x512xf32>
    return %87 : tensor<?x?x512xf32>
  }
}

