#!/usr/bin/env bash
# NVRTC took a generic lambda in a __device__ function template for host code, which it refuses; with 13.5 it does not.
# Version: NVRTC 13.0.88 refuses, 13.5.37 compiles; for sm_80 and sm_90a.
# Guess: `auto` for a parameter's type changes nothing about where a lambda may run: both compile.
# Seen: with 13.0.88 NVRTC_ERROR_COMPILATION, "A function without execution space annotations ... is considered a host
#   function"; the same lambda with a named type compiles.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 13.0.88 13.5.37; do
  python3 -m venv "$work/$version"
  "$work/$version/bin/pip" install -q nvidia-cuda-nvrtc==$version
  PYTHONPATH=$here "$work/$version/bin/python" -B - $version <<'PYTHON'
import sys

import nvrtc

SOURCE = """
template <int width, typename T> __device__ void twice(const T *x, float *y) {
  auto read = [&](%s, int k) { return float(from[threadIdx.x * width + k]); };
  y[threadIdx.x] = 2 * read(x, 1);
}
extern "C" __global__ void kernel(const float *x, float *y) { twice<32>(x, y); }"""
for target in ("sm_80", "sm_90a"):
    for name, parameter in (("named type", "const float *from"), ("auto", "const auto *from")):
        status, log, _ = nvrtc.compile(SOURCE % parameter, target)
        print(f"{sys.argv[1]:8} {target:8} {name:18} {'compiles' if status == 0 else log.strip().splitlines()[0][:110]}")
        assert (status != 0) == (name == "auto" and sys.argv[1] == "13.0.88"), "changed"
PYTHON
done
