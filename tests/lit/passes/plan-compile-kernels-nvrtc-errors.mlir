// REQUIRES: nvrtc
// RUN: nanocc-opt %s --plan-compile-kernels -verify-diagnostics

// expected-error @+1 {{kernel k does not compile for sm_90a}}
plan.program @sm_90a precision "f32" min_driver 0 {
  plan.kernel @k meaning "relu2" engine "simt" {T = f32} includes [] source "no C++"
}
