#!/usr/bin/env bash
# With line tables NVRTC writes the directory in which the process runs into the cubin.
# Version: NVRTC 13.5.37 (the same with 13.0.88).
# Guess: NVRTC compiles a string under a name that the caller gives, and reads no file; so equal source, name and options give
#   equal bytes, wherever the process runs.
# Seen: without line tables, yes. With -lineinfo (or -G) two directories give two cubins, and each holds its directory's name:
#   a cache keyed by source and options mixes them, and a build is not reproducible. The name, and any in a #line, is made
#   absolute by that directory; one that begins with / is taken as it is, and the cubins are equal again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
PYTHONPATH=$here "$work/venv/bin/python" -B - <<'PYTHON'
import os
import tempfile
import nvrtc

SOURCE = 'extern "C" __global__ void kernel(float *y) { y[threadIdx.x] *= 2; }'
for name, options, same in ("kernel.cu", (), True), ("kernel.cu", ("-lineinfo",), False), ("kernel.cu", ("-G",), False), \
        ("/any/kernel.cu", ("-lineinfo",), True):
    cubins = {}
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            status, log, cubins[folder] = nvrtc.compile(SOURCE, "sm_90a", *options, name=name)
            os.chdir("/")
            assert status == 0, log
    equal = len(set(cubins.values())) == 1
    inside = all(folder.encode() in cubin for folder, cubin in cubins.items())
    print(f"{name:15}{' '.join(options) or 'no options':10}: {'equal' if equal else 'different'} cubins, "
          f"the directory's name is {'' if inside else 'not '}in them")
    assert equal == same and inside != same, "changed"
PYTHON
