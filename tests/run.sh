#!/usr/bin/env bash
# Builds everything and runs every test that needs no GPU: unit, lit and end-to-end tests, then the runtime's tests again
# under AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
./setup.sh
say() { echo "tests: $*"; }
[ -d build/cuda ] && export VIRTUAL_ENV=$root/build/cuda

say "formatting"
git ls-files '*.cpp' '*.h' '*.c' '*.cuh' | xargs clang-format-14 --dry-run -Werror

say "building (build/ci)"
cmake --preset ci >/dev/null
cmake --build build/ci
say "names, includes, common mistakes (clang-tidy)"
tests/tidy.py
say "testing"
ctest --test-dir build/ci --output-on-failure -j "$(nproc)" --no-tests=error

say "building the runtime and its tests under sanitizers (build/asan)"
cmake --preset asan -DNANOCC_COMPILER=OFF >/dev/null
cmake --build build/asan
say "testing under sanitizers"
ctest --test-dir build/asan --output-on-failure -j "$(nproc)" --no-tests=error -E "CompileFamily|Compile\.|Nvrtc"
