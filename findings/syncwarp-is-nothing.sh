#!/usr/bin/env bash
# __syncwarp() between a warp's reads and one lane's announcement of them is no machine instruction.
# Version: NVRTC 13.5.37 (the same with 13.0.88), for sm_80, sm_90a, sm_100a and sm_120a.
# Guess: __syncwarp() compiles to WARPSYNC at least where one lane acts for the warp behind it, so that a tool which reads
#   machine code sees the order.
# Seen: nothing is left of it, nor behind a loop that lanes leave apart (they are brought together there anyway). In the
#   machine code the other lanes' reads and lane 0's announcement are ordered by the warp alone, and compute-sanitizer's
#   racecheck reports them (see README.md). Only within a branch, for half a warp, is the instruction there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
PYTHONPATH=$here "$work/venv/bin/python" -B - <<'PYTHON'
import nvrtc

SOURCE = """
extern "C" __global__ void kernel(const float *x, float *y, unsigned *ready) {
  const float v = x[threadIdx.x];
  %s
  if (threadIdx.x %% 32 == 0)
    atomicAdd(ready, 1u);
  y[threadIdx.x] = v;
}"""
CASES = {
    "the warp together": ("__syncwarp();", 0),
    "behind a loop that lanes leave apart": ("for (int i = 0; i < int(threadIdx.x); ++i) { y[i] += v; if (x[i] > 3) break; } __syncwarp();", 0),
    "half a warp in a branch": ("if (threadIdx.x % 32 < 16) { y[threadIdx.x + 32] = v; __syncwarp(0xffff); y[threadIdx.x + 64] = v; }", 1),
}
for target in ("sm_80", "sm_90a", "sm_100a", "sm_120a"):
    for name, (body, expected) in CASES.items():
        status, log, cubin = nvrtc.compile(SOURCE % body, target)
        assert status == 0, log
        count = sum("WARPSYNC" in line for line in nvrtc.sass(cubin))
        print(f"{target:8} {name:38} {count} WARPSYNC")
        assert bool(count) == bool(expected), "changed"
PYTHON
