#!/usr/bin/env bash
# Builds the tools, imports and compiles the bundled model, and asks it a question: on the GPU if there is one, otherwise
# on the CPU.
#
#   examples/lexicon/run.sh ["QUESTION" ...]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
./setup.sh
[ -d build/cuda ] && export VIRTUAL_ENV=$root/build/cuda
say() { echo "lexicon: $*" >&2; }

say "building nanocc, nanocc-import and nanort in build/release"
cmake --preset release >/dev/null
cmake --build build/release --target nanocc nanocc-import nanort_tool >&2

tools=build/release/bin
model=build/lexicon
if [ ! -f $model/model.mlir ] || [ examples/lexicon/checkpoint -nt $model/model.mlir ]; then
  say "importing the checkpoint"
  $tools/nanocc-import examples/lexicon/checkpoint -o $model -q
fi
say "compiling the plan for the CPU and for NVIDIA GPUs (Ampere and later)"
$tools/nanocc $model/model.mlir --target cpu,sm_80,sm_90a --batch 1,4 -o $model/plan.fb

[ $# -gt 0 ] || set -- "What does violin mean?"
for question in "$@"; do
  say "question: $question"
  $tools/nanort run $model/plan.fb --chat "$question"
done
