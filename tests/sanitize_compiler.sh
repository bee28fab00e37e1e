#!/usr/bin/env bash
# The compiler under AddressSanitizer and UndefinedBehaviorSanitizer: builds nanocc, nanocc-opt and nanocc-import with them
# (build/asan-compiler) and runs the lit tests and the importer's. Outside CI.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
./setup.sh
cmake --preset asan-compiler >/dev/null
cmake --build build/asan-compiler --target nanocc nanocc-opt nanocc-import nanort_tool import_test
# Debian's MLIR is not instrumented: its vectors say nothing of their capacity to ours.
export ASAN_OPTIONS=detect_container_overflow=0
ctest --test-dir build/asan-compiler --output-on-failure --no-tests=error -R '^lit$|ModelConfig|Overrides|Import|Lexicon|TokenizerConversion|Torch|Pickle'
