#!/usr/bin/env bash
# make.sh [BIN]: writes the plan of this build's format, a model of one layer for the CPU, and the ids that it gives, with
# nanocc and nanort of BIN (build/ci/bin). Run it when the test FrozenPlans asks for it. Plans of earlier formats cannot be
# made again: when the format changes, their .txt gets "exit", "message" and "remedy" in place of "ids".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=${1:-$root/build/ci/bin}
format=$(sed -n 's/.*planFormatVersion = \([0-9]*\);.*/\1/p' "$root/runtime/plan/plan.h")
plan=$here/format-$format.fb
python3 "$root/tests/lit/Inputs/tiny.py" --vocab 64 --padded 64 |
  "$bin/nanocc" - -o "$plan" --target cpu --batch 1 --max-seq 32 --prefill 16
ids=$("$bin/nanort" run "$plan" --device cpu --random-weights 5 --ids 1,2,3 -n 12 --no-stop)
echo "ids: $ids" >"${plan%.fb}.txt"
