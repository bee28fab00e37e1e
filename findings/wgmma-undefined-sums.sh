#!/usr/bin/env bash
# Before CUDA 12.9 wgmma is serialized where a sum that it does not read has no value.
# Versions: NVRTC 12.8.93, 12.9.86 and 13.5.37.
# Guess: with scale-d false, decided while the kernel runs, wgmma overwrites its sums, so that they need no value before it in
#   any version (a store of zeros in each thread would be waste).
# Seen: 12.8 takes the registers for defined by something else between the products and serializes all of them (C7515, an
#   "info"); 12.9 puts a fence of its own before some (C7519) and serializes none; 13.5 says nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for package in nvidia-cuda-nvrtc-cu12==12.8.93 nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-nvrtc==13.5.37; do
  venv=$work/${package##*==}
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q "$package"
  PYTHONPATH=$here "$venv/bin/python" -B - "${package##*==}" <<'PYTHON'
import re
import sys
import nvrtc

SOURCE = """
// A matrix without swizzle, 64 columns: address, and steps between its pieces.
__device__ inline unsigned long long matrix(const void *shared) {
  return ((unsigned)__cvta_generic_to_shared(shared) & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32;
}
extern "C" __global__ void __launch_bounds__(128) kernel(const unsigned short *x, float *y, int rounds) {
  __shared__ __align__(128) unsigned short a[64 * 16], b[8 * 16];
  for (int i = threadIdx.x; i < 64 * 16; i += 128) a[i] = x[i];
  for (int i = threadIdx.x; i < 8 * 16; i += 128) b[i] = x[i];
  __syncthreads();
  asm volatile("fence.proxy.async;" ::: "memory");
  float d[4];
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  for (int round = 0; round < rounds; ++round)
    asm volatile("{.reg .pred add; setp.ne.b32 add, %6, 0;"
                 "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %5, add, 1, 1, 0, 0;}"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "l"(matrix(a)), "l"(matrix(b)), "r"(round));
  asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" ::: "memory");
  for (int i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = d[i];
}"""
EXPECTED = {"12.8.93": {"C7515", "C7519"}, "12.9.86": {"C7519"}, "13.5.37": set()}
status, log, cubin = nvrtc.compile(SOURCE, "sm_90a")
codes = set(re.findall(r"\((C75\d\d)\)", log))
print(f"NVRTC {sys.argv[1]}: status {status}, ptxas {', '.join(sorted(codes)) or 'says nothing'}"
      + ("; serialized" if "serialized" in log else ""))
assert status == 0 and codes == EXPECTED[sys.argv[1]] and ("serialized" in log) == ("C7515" in codes), "changed"
PYTHON
done
