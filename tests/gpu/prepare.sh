#!/usr/bin/env bash
# Makes bundles of what a machine with a GPU needs, carry/NAME.tar.xz, each of at most 30 MiB: with the tracked files one of
# them, or checks and goldens, travels to a machine that takes 64 MiB. Runs where nanocc builds; needs no GPU. Bundles unpack
# into one folder side by side.
#
#   tests/gpu/prepare.sh [--build DIR] [BUNDLE ...]     (default: build/gpu, all but compiler)
#
#   checks     what tests/gpu/run.sh checks: nanort, gpu_tests, and the bundled model and presets as plans for cpu and sm_90a
#   goldens    and the models of tests/golden, in f32 and bf16
#   bench      what tests/bench measures: nanort, the benches of products and attention, and the plans of d12, d20 and d32.
#              $TUNING: files of nanort tune that decide the engines
#   compiler   nanocc and nanocc-import, to compile over there
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/gpu
bundles=()
while [ $# -gt 0 ]; do
  case $1 in
  --build) build=${2:?prepare.sh: --build needs a folder}; shift ;;
  checks | goldens | bench | compiler) bundles+=("$1") ;;
  -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "prepare.sh: '$1' is no bundle; there are checks, goldens, bench and compiler" >&2; exit 2 ;;
  esac
  shift
done
[ ${#bundles[@]} -gt 0 ] || bundles=(checks goldens bench)
limit=$((30 << 20))
[ -f "$build/build.ninja" ] || cmake -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release \
  -DLLVM_DIR=/usr/lib/llvm-22/lib/cmake/llvm -DMLIR_DIR=/usr/lib/llvm-22/lib/cmake/mlir
work=$(mktemp -d /tmp/nano_prepare.XXXXXX)
trap 'rm -rf "$work"' EXIT

# programs NAME ...: stripped, into the bundle.
programs() {
  mkdir -p "$stage/bin"
  for program in "$@"; do strip -o "$stage/bin/$program" "$build/bin/$program"; done
}
# The library that nanort and the benches load.
library() {
  local library soname
  library=$(readlink -f "$build/lib/libnanort.so")
  soname=$(objdump -p "$library" | awk '/SONAME/ {print $2}')
  mkdir -p "$stage/lib"
  strip -o "$stage/lib/$soname" "$library"
}
# compile MODEL_DIR [FLAGS]: f32.fb and bf16.fb beside its model.mlir.
compile() {
  for precision in f32 bf16; do
    "$build/bin/nanocc" "$1/model.mlir" -o "$1/$precision.fb" --target cpu,sm_90a --precision $precision "${@:2}"
  done
}
# compile_eager MODEL_DIR [FLAGS]: eager.fb, one launch per operation.
compile_eager() {
  "$build/bin/nanocc" "$1/model.mlir" -o "$1/eager.fb" --target sm_90a --precision bf16 --fuse none "${@:2}"
}

checks() {
  programs nanort gpu_tests
  library
  local lexicon=$root/examples/lexicon preset
  "$build/bin/nanocc-import" "$lexicon/checkpoint" -o "$stage/lexicon"
  compile "$stage/lexicon"
  compile_eager "$stage/lexicon"
  cp "$lexicon/eval.safetensors" "$lexicon/samples.json" "$stage/lexicon/"
  for preset in d12 d20; do
    mkdir -p "$stage/preset/$preset"
    "$build/bin/nanocc-import" --preset $preset -o "$stage/preset/$preset"
    "$build/bin/nanocc" "$stage/preset/$preset/model.mlir" -o "$stage/preset/$preset/bf16.fb" --target cpu,sm_90a \
      --precision bf16 --prefill 512
    compile_eager "$stage/preset/$preset" --prefill 512
  done
  mkdir -p "$stage/preset/d4"
  "$build/bin/nanocc-import" --preset d4 -o "$stage/preset/d4"
  compile "$stage/preset/d4"
  "$build/bin/nanocc" "$stage/lexicon/model.mlir" -o "$stage/lexicon/fp8.fb" --target cpu,sm_90a --precision fp8 --batch 1,8
  "$build/bin/nanocc" "$stage/preset/d12/model.mlir" -o "$stage/preset/d12/fp8.fb" --target cpu,sm_90a --precision fp8 \
    --batch 1,8 --prefill 512
  # A d12 with heads of 80, which attention_chunk by wgmma does not take.
  "$build/bin/nanocc-import" --preset d12 --generation A -o "$stage/preset/heads-80"
  sed -i 's/\(dim\|head_dim =\) 128\b/\1 80/g; s/768/480/g; s/3072/1920/g' "$stage/preset/heads-80/model.mlir"
  "$build/bin/nanocc" "$stage/preset/heads-80/model.mlir" -o "$stage/preset/heads-80/bf16.fb" --target sm_90a --precision bf16 \
    --batch 1,8 --max-seq 640 --prefill 512
  # What a row of a batch gives, against the row alone.
  "$build/bin/nanocc" "$stage/preset/d4/model.mlir" -o "$stage/preset/d4/batches.fb" --target sm_90a,cpu --precision f32 \
    --batch 8,32,128 --max-seq 2056
  "$build/bin/nanocc" "$stage/preset/d4/model.mlir" -o "$stage/preset/d4/single.fb" --target sm_90a,cpu --precision f32 \
    --batch 1 --max-seq 2056
  "$build/bin/nanocc" "$stage/lexicon/model.mlir" -o "$stage/lexicon/batches.fb" --target sm_90a,cpu --precision bf16 \
    --batch 8,32,128
  # What a device before sm_90 gets.
  "$build/bin/nanocc" "$stage/lexicon/model.mlir" -o "$stage/lexicon/sm_80.fb" --target sm_80 --precision bf16 --batch 1,8
  # The engines that models this small would not choose, for one row and eight.
  local forced=(--target sm_90a --precision bf16 --batch 1,8 --template '*=wgmma' --template '*=spread')
  "$build/bin/nanocc" "$stage/lexicon/model.mlir" -o "$stage/lexicon/forced.fb" "${forced[@]}"
  "$build/bin/nanocc" "$stage/preset/d4/model.mlir" -o "$stage/preset/d4/forced.fb" "${forced[@]}" --max-seq 2056 \
    --prefill 512,2056
}

goldens() {
  "$root/tests/golden/unpack.sh" "$build/golden"
  local golden=$build/golden source case
  for source in "$golden"/*/; do
    case=$stage/golden/$(basename "$source")
    mkdir -p "$case"
    "$build/bin/nanocc-import" "$source" -o "$case"
    compile "$case"
    "$build/bin/nanocc" "$case/model.mlir" -o "$case/unfused.fb" --target sm_90a --precision f32 --fuse none
    cp "$source/reference.safetensors" "$case/"
  done
}

bench() {
  programs nanort gemm_vs_cublaslt prefill_attention
  library
  local tuning=() file preset rows buckets
  for file in ${TUNING:-}; do tuning+=(--tuning "$file"); done
  mkdir -p "$stage/bench"
  for preset in d12 d20 d32; do
    "$build/bin/nanocc-import" --preset $preset --generation A -o "$stage/bench/$preset"
    "$build/bin/nanocc" "$stage/bench/$preset/model.mlir" -o "$stage/bench/$preset.fb" --target sm_90a --precision bf16 \
      --batch 1,8,32,128 --max-seq 640 --prefill 512 "${tuning[@]}"
    # Generation E with the vocabulary of A, to see what its additions cost, and for prefill.
    "$build/bin/nanocc-import" --preset $preset --generation E -o "$stage/bench/$preset-e"
    sed -i 's/32768/65536/g' "$stage/bench/$preset-e/model.mlir"
    rows=1,8; buckets=512,2048
    [ $preset = d12 ] && rows=1,8,32 && buckets=512,2048,16384
    # 16 positions more than the longest prompt: a measurement generates tokens behind it.
    "$build/bin/nanocc" "$stage/bench/$preset-e/model.mlir" -o "$stage/bench/$preset-e.fb" --target sm_90a --precision bf16 \
      --batch $rows --max-seq 2064 --prefill $buckets "${tuning[@]}"
  done
}

compiler() {
  programs nanocc nanocc-import
}

targets=(nanocc nanocc-import)
for bundle in "${bundles[@]}"; do
  case $bundle in
  checks) targets+=(nanort_tool gpu_tests) ;;
  bench) targets+=(nanort_tool gemm_vs_cublaslt prefill_attention) ;;
  esac
done
ninja -C "$build" "${targets[@]}"
mkdir -p "$root/carry"
failed=0
for bundle in "${bundles[@]}"; do
  stage=$work/$bundle
  mkdir "$stage"
  $bundle
  # Plans repeat each other: a dictionary as large as several of them.
  packed=$root/carry/$bundle.tar.xz
  tar -C "$stage" --sort=name -c . | xz --lzma2=preset=6,dict=64MiB >"$packed"
  size=$(stat -c %s "$packed")
  echo "carry/$bundle.tar.xz: $((size >> 10)) KiB of $((limit >> 10))"
  [ "$size" -le $limit ] || failed=1
done
if [ $failed -ne 0 ]; then
  echo "prepare.sh: a bundle is over $((limit >> 20)) MiB; leave out goldens or presets, or make another bundle of some" >&2
  exit 1
fi
