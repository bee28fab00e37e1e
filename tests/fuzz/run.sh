#!/usr/bin/env bash
# Feeds damaged and made-up input to whatever reads files, under AddressSanitizer and UndefinedBehaviorSanitizer:
#
#   tests/fuzz/run.sh SECONDS [TARGET...]
#
# runs each target (all: plan pickle torch safetensors tokenizer config model) for that long, two at a time. What was
# learned stays in build/fuzz/corpus/TARGET, so a later run goes on from there. What fails is left in
# build/fuzz/found/TARGET and ends the script with 1; build/fuzz/bin/fuzz_TARGET FILE runs one input again.
#
# Needs Debian's clang-22 and libclang-rt-22-dev (apt-get install), beside what setup.sh installs. Outside CI.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
case ${1:-} in
'' | *[!0-9]*) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(plan pickle torch safetensors tokenizer config model)
command -v clang++-22 >/dev/null || { echo "fuzz: no clang++-22; apt-get install clang-22 libclang-rt-22-dev" >&2; exit 1; }

echo "fuzz: building (build/fuzz)"
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target fuzz_seeds nanocc "${targets[@]/#/fuzz_}"

# MLIR is not instrumented: its vectors and arenas say nothing of their capacity to ours.
export ASAN_OPTIONS=detect_container_overflow=0:allow_user_poisoning=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
corpus=build/fuzz/corpus
build/fuzz/bin/fuzz_seeds $corpus
mkdir -p $corpus/model
python3 tests/lit/Inputs/tiny.py >$corpus/model/tiny.mlir
for stage in nano kern plan; do
  NANORT_NVRTC=/nonexistent build/fuzz/bin/nanocc $corpus/model/tiny.mlir --target cpu --max-seq 16 --prefill 16 \
    --emit $stage -o $corpus/model/tiny.$stage.mlir
done

# The plan's target runs what it accepts, and the model's goes through a whole compiler: their inputs take longer.
one() {
  local target=$1 length=65536
  [ "$target" = tokenizer ] && length=200000
  mkdir -p "build/fuzz/found/$target"
  if build/fuzz/bin/fuzz_"$target" "$corpus/$target" -max_total_time="$seconds" -max_len=$length -timeout=30 \
    -rss_limit_mb=4096 -artifact_prefix="build/fuzz/found/$target/" -print_final_stats=1 \
    >"build/fuzz/$target.log" 2>&1; then
    echo "fuzz: $target: $(grep -o 'number_of_executed_units: *[0-9]*' "build/fuzz/$target.log" | tr -s ' ')"
  else
    echo "fuzz: $target FAILED; build/fuzz/$target.log:"
    grep -m 5 -E 'ERROR|runtime error|internal error|SUMMARY|Test unit written' "build/fuzz/$target.log" | sed 's/^/  /'
    return 1
  fi
}
export -f one
export seconds corpus
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'one {}' || exit 1
