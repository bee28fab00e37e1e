#!/usr/bin/env bash
# The compiler under AddressSanitizer and UndefinedBehaviorSanitizer: builds nanocc, nanocc-opt and nanocc-import with them
# (build/asan-compiler) and runs the lit tests and the importer's. Needs Debian's clang-22 and libclang-rt-22-dev (apt-get
# install) beside what setup.sh installs: GCC takes several times as long, and much memory. Outside CI.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
./setup.sh
command -v clang++-22 >/dev/null || { echo "no clang++-22; apt-get install clang-22 libclang-rt-22-dev" >&2; exit 1; }
cmake --preset asan-compiler >/dev/null
cmake --build build/asan-compiler --target nanocc nanocc-opt nanocc-import nanort_tool import_test
# Debian's MLIR is not instrumented: its vectors and arenas say nothing of their capacity to ours.
export ASAN_OPTIONS=detect_container_overflow=0:allow_user_poisoning=0
ctest --test-dir build/asan-compiler --output-on-failure --no-tests=error -R '^lit$|ModelConfig|Overrides|Import|Lexicon|TokenizerConversion|Torch|Pickle'
