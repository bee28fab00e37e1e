#!/usr/bin/env bash
# Builds everything and runs every test that needs no GPU: unit, lit and end-to-end tests, then the runtime's tests again
# under AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

# say PART: what begins. At the end, green or not, a table tells how long each part took.
part="" started=0 parts=""
say() {
  [ -z "$part" ] || parts+=$(printf '%6d s  %s' $((SECONDS - started)) "$part")$'\n'
  part=$* started=$SECONDS
  [ -z "$part" ] || echo "tests: $part"
}
trap 'say; printf "%s%6d s  in all\n" "$parts" $SECONDS' EXIT

say "packages"
./setup.sh
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
# Without the tests whose time NVRTC takes: it is not built with sanitizers, which see nothing there that is not seen above.
ctest --test-dir build/asan --output-on-failure -j "$(nproc)" --no-tests=error -E "CompileKernel|Compile\.|Nvrtc"
