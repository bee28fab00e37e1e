#!/bin/sh
# run.sh PREFIX QUESTION: compiles the bundled model and this program with the nanocc installed in PREFIX, and asks.
set -eu
prefix=${1:?usage: run.sh PREFIX QUESTION}
question=${2:-What is another word for big?}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$prefix/bin/nanocc-import" "$here/../lexicon/checkpoint" -o "$work/model"
"$prefix/bin/nanocc" "$work/model/model.mlir" -o "$work/model/plan.fb" --target cpu
cmake -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >"$work/log"
cmake --build "$work/build" >>"$work/log"
"$work/build/embed" "$work/model/plan.fb" "$question"
