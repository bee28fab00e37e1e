#!/usr/bin/env bash
# ptxas leaves out setmaxnreg, says so as "info", and no option makes that an error.
# Version: NVRTC 13.5.37 (the same with 13.0.88).
# Guess: __launch_bounds__(128) says enough for setmaxnreg, since it fixes the registers that a thread may have; and where
#   ptxas cannot do what the source asks, that is a warning, which --warning-as-error turns into a failed compilation.
# Seen: only with a second bound (blocks an SM) is the instruction in the machine code. Without it: status 0, with
#   --warning-as-error too, and one line "info : (C7508) Potential Performance Loss: 'setmaxnreg' ignored" in a log that a
#   caller has to ask for and search. (C7510, C7514 and C7515, wgmma serialized, are "info" as well.)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
PYTHONPATH=$here "$work/venv/bin/python" -B - <<'PYTHON'
import nvrtc

SOURCE = """
extern "C" __global__ void %s kernel(float *y) {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
  y[threadIdx.x] = 1;
}"""
for bounds, kept in ("", False), ("__launch_bounds__(128)", False), ("__launch_bounds__(128, 1)", True):
    for option in "", "--ptxas-options=--warning-as-error":
        status, log, cubin = nvrtc.compile(SOURCE % bounds, "sm_90a", *filter(None, [option]))
        present = any("USETMAXREG" in line for line in nvrtc.sass(cubin))
        said = [line.strip() for line in log.splitlines() if "C7508" in line]
        print(f"{bounds or 'no bounds':26}{option.split('--')[-1]:18} status {status}, setmaxnreg {'there' if present else 'left out'}")
        print(*(f"    {line}" for line in said), sep="\n", end="\n" if said else "")
        assert status == 0 and present == kept and bool(said) != kept, "changed"
        assert all(line.startswith("ptxas info") for line in said), "changed"
PYTHON
