#!/usr/bin/env bash
# Runs the GPU checks on a machine with a GPU: needs carry/{checks,goldens}.tar.xz (prepare.sh), python3 with numpy, NVIDIA's driver
# and the CUDA toolkit's libraries; no compiler. Prints one line per check and a summary; the same goes to $OUT (out/gpu).
# Usage: tests/gpu/run.sh [check.py's options]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/out/gpu}
work=$(mktemp -d /tmp/nano_gpu.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for bundle in checks goldens; do
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$root/carry/$bundle.tar.xz" "$work"
done
export NANORT_CACHE_DIR=$work/cache
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.draw,temperature.gpu,memory.total --format=csv,noheader || true
python3 "$root/tests/gpu/check.py" --bundle "$work" --out "$out" "$@"
