#!/usr/bin/env bash
# ptxas moves read-only loads below griddepcontrol.wait, whatever the source says.
# Versions: NVRTC 13.5.37 (the same with 13.0.88), for sm_90a, sm_100a and sm_120a.
# Guess: a load by `asm volatile` with a "memory" clobber, written before an `asm volatile` wait with a "memory" clobber,
#   stays before it, so that weights are on their way while the kernel waits for its producer.
# Seen: `ld.global.nc` by such an asm, `__ldg` and pointers that are `const __restrict__` all end up behind the wait,
#   1 load as well as 8; plain loads and `ld.global` by asm stay. Nothing in the log says so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
PYTHONPATH=$here "$work/venv/bin/python" -B - <<'PYTHON'
import nvrtc

LOADS = 8
WAYS = {
    "plain pointer": ("const float4 *", "r[{0}] = w[at + {0}];"),
    "const __restrict__": ("const float4 *__restrict__ ", "r[{0}] = w[at + {0}];"),
    "__ldg": ("const float4 *", "r[{0}] = __ldg(w + at + {0});"),
    "asm volatile ld.global": ("const float4 *", "LOAD(\"ld.global.v4.f32\", r[{0}], w + at + {0});"),
    "asm volatile ld.global.nc": ("const float4 *", "LOAD(\"ld.global.nc.v4.f32\", r[{0}], w + at + {0});"),
}
SINK = {"const __restrict__", "__ldg", "asm volatile ld.global.nc"}
SOURCE = """
#define LOAD(opcode, r, from) asm volatile(opcode " {%%0, %%1, %%2, %%3}, [%%4];" \\
    : "=f"(r.x), "=f"(r.y), "=f"(r.z), "=f"(r.w) : "l"(from) : "memory")
extern "C" __global__ void __launch_bounds__(256) kernel(%(pointer)s w, const float *x, float *y) {
  const int at = (blockIdx.x * 256 + threadIdx.x) * %(loads)d;
  float4 r[%(loads)d];
  %(load)s
  asm volatile("griddepcontrol.wait;" ::: "memory");
  const float v = x[threadIdx.x];
  float sum = 0;
  for (const float4 &q : r)
    sum += q.x * v + q.y * v + q.z * v + q.w * v;
  y[blockIdx.x * 256 + threadIdx.x] = sum;
}"""

for target in ("sm_90a", "sm_100a", "sm_120a"):
    for way, (pointer, load) in WAYS.items():
        for loads in (1, LOADS):
            text = SOURCE % {"pointer": pointer, "loads": loads, "load": " ".join(load.format(k) for k in range(loads))}
            status, log, cubin = nvrtc.compile(text, target)
            assert status == 0, log
            code = nvrtc.sass(cubin)
            wait = next(i for i, line in enumerate(code) if "ACQBULK" in line)
            before = sum("LDG.E.128" in line for line in code[:wait])
            print(f"{target:8} {way:26} {before} of {loads} before the wait")
            assert before == (0 if way in SINK else loads), "changed"
PYTHON
