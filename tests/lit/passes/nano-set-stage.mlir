// RUN: nanocc-opt %s --nano-set-stage="stage=kern" | FileCheck %s
// CHECK: module attributes {nano.stage = "kern"}
module attributes {nano.stage = "nano"} {}
