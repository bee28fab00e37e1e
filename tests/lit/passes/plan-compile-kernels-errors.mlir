// RUN: env NANORT_NVRTC=/nonexistent nanocc-opt %s --plan-compile-kernels -verify-diagnostics -split-input-file

// expected-warning @+1 {{no machine code in the plan, the runtime will compile its sources: NVRTC: cannot open $NANORT_NVRTC: /nonexistent}}
module {
  plan.program @sm_90a precision "f32" min_driver 0 {
    plan.kernel @k meaning "relu2" engine "simt" {T = f32} includes [] source "text"
  }
}

// -----

// Nothing to compile, nothing to warn of.
module {
  plan.program @sm_90a precision "f32" min_driver 0 {
    plan.kernel @k meaning "relu2" engine "simt" {T = f32} includes [] source "text" cubin dense<1> : tensor<1xui8>
  }
  plan.program @cpu precision "f32" min_driver 0 {
    plan.kernel @k meaning "relu2" {T = f32}
  }
}
