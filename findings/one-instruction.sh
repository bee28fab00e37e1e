#!/usr/bin/env bash
# An instruction that compiles for a target may be many instructions there.
# Version: NVRTC 13.5.37.
# Guess: PTX that ptxas takes for a target is one machine instruction on it, above all products on tensor cores.
# Seen (`-`: refused; a number: how many machine instructions do the work): mma.sync of e4m3 is one QMMA on sm_89, sm_120a
#   and sm_121a, but conversions and two products of f16 on sm_90a, sm_100a, sm_103a and sm_110a; of s4 one on sm_80 and
#   sm_89, a subroutine of more than 150 from sm_90a on; of b1 a subroutine from sm_100a on. fma.rn.f32x2 is one on sm_100a
#   and sm_103a, two on sm_110a, sm_120a and sm_121a. ex2.approx.ftz.bf16x2 is one on sm_103a alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q nvidia-cuda-nvrtc==13.5.37 nvidia-cuda-nvdisasm==13.5.37
PYTHONPATH=$here "$work/venv/bin/python" -B - <<'PYTHON'
import re
import nvrtc

TARGETS = ("sm_80", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_110a", "sm_120a", "sm_121a")


def mma(shape, register, constraint):
    return f"""
  {register} d[4] = {{}};
  asm volatile("mma.sync.aligned.{shape} {{%0, %1, %2, %3}}, {{%4, %5, %6, %7}}, {{%8, %9}}, {{%0, %1, %2, %3}};"
      : "+{constraint}"(d[0]), "+{constraint}"(d[1]), "+{constraint}"(d[2]), "+{constraint}"(d[3])
      : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]));
  for (int i = 0; i < 4; ++i) (({register} *)y)[4 * threadIdx.x + i] = d[i];"""


CASES = {  # name: body, machine instructions on each target (None: refused)
    "mma bf16": (mma("m16n8k16.row.col.f32.bf16.bf16.f32", "float", "f"), (1, 1, 1, 1, 1, 1, 1, 1)),
    "mma s8": (mma("m16n8k32.row.col.s32.s8.s8.s32", "unsigned", "r"), (1, 1, 1, 1, 1, 1, 1, 1)),
    "mma e4m3": (mma("m16n8k32.row.col.f32.e4m3.e4m3.f32", "float", "f"), (None, 1, 18, 18, 18, 18, 1, 1)),
    "mma s4": (mma("m16n8k64.row.col.s32.s4.s4.s32", "unsigned", "r"), (1, 1, "many", "many", "many", "many", "many", "many")),
    "mma b1": (mma("m16n8k256.row.col.s32.b1.b1.s32.and.popc", "unsigned", "r"), (1, 1, 1, "many", "many", "many", "many", "many")),
    "fma f32x2": ("""
  unsigned long long a = ((const unsigned long long *)x)[0], b = ((const unsigned long long *)x)[1];
  asm volatile("fma.rn.f32x2 %0, %0, %1, %0;" : "+l"(a) : "l"(b));
  ((unsigned long long *)y)[threadIdx.x] = a;""", (None, None, None, 1, 1, 2, 2, 2)),
    "ex2 bf16x2": ("""
  unsigned r;
  asm volatile("ex2.approx.ftz.bf16x2 %0, %1;" : "=r"(r) : "r"(x[0]));
  y[threadIdx.x] = r;""", (None, None, 2, 2, 1, 2, 2, 2)),
}
# What does the work; moves, addresses and the packing of halves do not.
WORK = re.compile(r"\b(HMMA|IMMA|QMMA|BMMA|F2FP|FADD|FFMA2?|MUFU|LOP3|SHF|MOVM)\b")
changed = False
print(f"{'':12}" + "".join(f"{target:>9}" for target in TARGETS))
for name, (body, expected) in CASES.items():
    found = []
    for target in TARGETS:
        kernel = 'extern "C" __global__ void kernel(const unsigned *from, unsigned *y) {\n  const unsigned *x = from + 8 * threadIdx.x;' + body + "\n}"
        status, log, cubin = nvrtc.compile(kernel, target)
        if status:
            assert "requires .target" in log or "not supported on .target" in log, log
            found.append(None)
            continue
        code = nvrtc.sass(cubin)
        called = any("CALL" in line for line in code)
        count = sum(bool(WORK.search(line)) for line in code) - (0 if called else sum("SHF" in line or "LOP3" in line for line in code))
        found.append("many" if called and count > 40 else count)
    print(f"{name:12}" + "".join(f"{'-' if n is None else n:>9}" for n in found))
    changed |= tuple(found) != expected
assert not changed, "changed"
PYTHON
