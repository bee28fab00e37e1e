// RUN: nanocc-opt %s -verify-diagnostics -split-input-file

// expected-error @+1 {{'nano.param' op must be f32 or bf16, is 'f16'}}
nano.param @w : tensor<8x4xf16> from "w"

// -----

// expected-error @+1 {{'nano.param' op must have positive 32-bit extents}}
nano.param @w : tensor<0x4xf32> from "w"

// -----

// expected-error @+1 {{'nano.param' op must have positive 32-bit extents}}
nano.param @w : tensor<f32> from "w"

// -----

// expected-error @+1 {{'nano.cache' op heads and dim must be from 1 to 65536}}
nano.cache @kv heads 0 dim 4

// -----

// expected-error @+1 {{'nano.cache' op heads and dim must be from 1 to 65536}}
nano.cache @kv heads 4294967296 dim 4294967296

// -----

// expected-error @+1 {{'nano.cache' op window must be positive; leave it out for full attention}}
nano.cache @kv heads 1 dim 4 window 0

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{table @nowhere is not a nano.param of this module}}
  %0 = nano.embed %ids, @nowhere : tensor<?x?xi32> -> tensor<?x?x4xf32>
  return
}

// -----

nano.param @w : tensor<4xf32> from "w"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{table @w must have rank 2, has 'tensor<4xf32>'}}
  %0 = nano.embed %ids, @w : tensor<?x?xi32> -> tensor<?x?x4xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{table @w has 4 columns, needs 5}}
  %0 = nano.embed %ids, @w : tensor<?x?xi32> -> tensor<?x?x5xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{one token per slot expected, have 'tensor<?x?xi32>' for 'tensor<4x4xf32>'}}
  %0 = nano.embed %ids, @w : tensor<?x?xi32> -> tensor<4x4xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%ids: tensor<*xi32>) {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.tensor}}
  %0 = nano.embed %ids, @w : tensor<*xi32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{groups 3 must divide the 4 channels}}
  %0 = nano.rms_norm %x groups 3 : tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{groups 0 must divide the 4 channels}}
  %0 = nano.rms_norm %x groups 0 : tensor<?x?x4xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
nano.param @l : tensor<1xf32> from "l"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{gate @w has 8 rows, needs 1}}
  %0 = nano.smear %x, %x gate @w lambda @l : tensor<?x?x4xf32>
  return
}

// -----

nano.param @g : tensor<1x4xf32> from "g"
nano.param @l : tensor<2xf32> from "l"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{lambda @l has 2 rows, needs 1}}
  %0 = nano.smear %x, %x gate @g lambda @l : tensor<?x?x4xf32>
  return
}

// -----

nano.param @g : tensor<1x5xf32> from "g"
nano.param @l : tensor<1xf32> from "l"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{gate reads 5 channels of 4}}
  %0 = nano.smear %x, %x gate @g lambda @l : tensor<?x?x4xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%x: tensor<?x?x5xf32>) {
  // expected-error @+1 {{weight @w has 4 columns, needs 5}}
  %0 = nano.linear %x, @w : tensor<?x?x5xf32> -> tensor<?x?x8xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{weight @w has 8 rows, needs 9}}
  %0 = nano.linear %x, @w : tensor<?x?x4xf32> -> tensor<?x?x9xf32>
  return
}

// -----

nano.param @w : tensor<8x4xbf16> from "w"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{operand and result must have the same token dimensions}}
  %0 = nano.linear %x, @w : tensor<?x?x4xf32> -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{heads 3 must divide the 4 channels}}
  %0 = nano.rope %x heads 3 base 1.0e4 : tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{turns pairs of channels: the head size 1 must be even}}
  %0 = nano.rope %x heads 4 base 1.0e4 : tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{base must be greater than 1}}
  %0 = nano.rope %x heads 1 base 1.0 : tensor<?x?x4xf32>
  return
}

// -----

nano.param @t : tensor<8x4xbf16> from "t"
nano.param @g : tensor<3x4xf32> from "g"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{the gate's 3 heads must divide the 4 channels of v}}
  %0 = nano.value_gate %x, %x, %ids table @t gate @g range 3.0 : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?xi32>
  return
}

// -----

nano.param @t : tensor<8x4xbf16> from "t"
nano.param @g : tensor<2x5xf32> from "g"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{gate reads 5 channels of 4}}
  %0 = nano.value_gate %x, %x, %ids table @t gate @g range 3.0 : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?xi32>
  return
}

// -----

nano.param @t : tensor<8x3xbf16> from "t"
nano.param @g : tensor<1x4xf32> from "g"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{table @t has 3 columns, needs 4}}
  %0 = nano.value_gate %x, %x, %ids table @t gate @g range 3.0 : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?xi32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>) {
  // expected-error @+1 {{cache @kv is not a nano.cache of this module}}
  %0 = nano.attention %x, %k, %k cache @kv : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
  return
}

// -----

nano.cache @kv heads 1 dim 2
func.func @f(%x: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>) {
  // expected-error @+1 {{k and v must have 2 channels (1 heads of 2 in @kv), have 4 and 4}}
  %0 = nano.attention %x, %k, %k cache @kv : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
  return
}

// -----

nano.cache @kv heads 1 dim 3
func.func @f(%x: tensor<?x?x4xf32>, %k: tensor<?x?x3xf32>) {
  // expected-error @+1 {{the 4 channels of q must be a multiple of the 3 of k: each key/value head serves a whole group of query heads}}
  %0 = nano.attention %x, %k, %k cache @kv : tensor<?x?x4xf32>, tensor<?x?x3xf32>, tensor<?x?x3xf32>
  return
}

// -----

nano.cache @kv heads 1 dim 4
func.func @f(%x: tensor<?x?x4xf32>, %k: tensor<8x4xf32>) {
  // expected-error @+1 {{operand and result must have the same token dimensions}}
  %0 = nano.attention %x, %k, %k cache @kv : tensor<?x?x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
  return
}

// -----

nano.param @v : tensor<2xf32> from "v"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{layer 2 is outside resid @v of 2}}
  %0 = nano.mix %x, %x resid @v skip @v layer 2 : tensor<?x?x4xf32>
  return
}

// -----

nano.param @v : tensor<2xf32> from "v"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{layer -1 is outside resid @v of 2}}
  %0 = nano.mix %x, %x resid @v skip @v layer -1 : tensor<?x?x4xf32>
  return
}

// -----

nano.param @v : tensor<2xf32> from "v"
func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{lambda @v has 2 rows, needs 1}}
  %0 = nano.backout %x, %x lambda @v : tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{keeps the first 5 columns of only 4}}
  %0 = nano.softcap %x cap 1.0 : tensor<?x?x4xf32> -> tensor<?x?x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4xf32>, %ids: tensor<?x?xi32>) {
  // expected-error @+1 {{cap must be positive; leave it out for none}}
  %0 = nano.softcap %x cap 0.0 : tensor<?x?x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x4xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{selects rows: (slots, c), (rows) -> (rows, c) expected}}
  %0 = nano.last %x, %i : tensor<8x4xf32>, tensor<2xi32> -> tensor<3x4xf32>
  return
}

// -----

// expected-error @+1 {{'nano.weights' must be a string}}
module attributes {nano.weights = 1} {}

// -----

// expected-error @+1 {{'nano.model' must be a dictionary}}
module attributes {nano.model = 1} {}

// -----

// expected-error @+1 {{'nano.options' must be a dictionary}}
module attributes {nano.options = 1} {}

// -----

// expected-error @+1 {{'nano.model' needs the string 'name'}}
module attributes {nano.model = {layers = 1}} {}

// -----

// expected-error @+1 {{'nano.model' needs the positive integer 'layers'}}
module attributes {nano.model = {name = "m", layers = 0}} {}

// -----

// expected-error @+1 {{'nano.model' needs the positive integer 'width'}}
module attributes {nano.model = {name = "m", layers = 1}} {}

// -----

// expected-error @+1 {{unknown attribute 'nano.colour' of the nano dialect}}
module attributes {nano.colour = "red"} {}

// -----

// expected-error @+1 {{'nano.weights' belongs on the builtin.module}}
func.func private @f() attributes {nano.weights = "w"}

// -----

// expected-error @+1 {{'nano.model' belongs on the builtin.module}}
func.func private @f() attributes {nano.model = {}}

// -----

// expected-error @+1 {{'nano.entry' must be {kind, tokens, rows} on a func.func}}
func.func private @f() attributes {nano.entry = {kind = "prefill"}}

// -----

// expected-error @+1 {{'nano.entry' needs at least one of its tokens}}
func.func private @f() attributes {nano.entry = {kind = "prefill", tokens = -1 : i64, rows = 1 : i64}}

// -----

// expected-error @+1 {{'nano.entry' needs at least one of its rows}}
func.func private @f() attributes {nano.entry = {kind = "decode", tokens = 1 : i64, rows = 0 : i64}}
