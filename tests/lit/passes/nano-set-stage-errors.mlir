// RUN: nanocc-opt %s --verify-diagnostics --nano-set-stage="stage=soup"
// expected-error @+1 {{unknown stage 'soup'; stages are nano, kern and plan}}
module {}
