#!/usr/bin/env bash
# Installs what building needs (Debian 12 packages) and finds CUDA. Safe to run again: what is there is left alone.
#
#   ./setup.sh [--cuda=auto|pip|none]
#
# CUDA is optional and only used at run time: NVRTC to compile kernels, cuBLASLt for matrix products. `auto` looks for
# version 13 or newer in $CUDA_HOME, /usr/local/cuda and installed NVIDIA wheels; `pip` installs the wheels into
# build/cuda; `none` looks for nothing. Without CUDA everything builds, plans carry kernel sources only, and models run on
# the CPU.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
cuda=auto
for argument in "$@"; do
  case $argument in
  --cuda=auto | --cuda=pip | --cuda=none) cuda=${argument#--cuda=} ;;
  -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "setup.sh: unknown argument '$argument'; see setup.sh --help" >&2; exit 2 ;;
  esac
done
say() { echo "setup: $*" >&2; }

packages=(build-essential cmake ninja-build ccache git xz-utils pkg-config python3
  llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools libzstd-dev zlib1g-dev
  flatbuffers-compiler libflatbuffers-dev libcli11-dev nlohmann-json3-dev libpcre2-dev libzip-dev libeigen3-dev libmd-dev
  libgtest-dev clang-format-14 clang-tidy-22)
[ "$cuda" = pip ] && packages+=(python3-venv)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing from Debian: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "needs root to install packages: run it as root, or install sudo"; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  say "all Debian packages are there"
fi

# The folder whose libraries are at least version 13, in the order in which the tools look (the scripts pass build/cuda as
# $VIRTUAL_ENV); or nothing.
find_cuda() {
  local folder
  for folder in "$root"/build/cuda/lib/python3*/site-packages/nvidia/cu13/lib ${CUDA_HOME:+"$CUDA_HOME/lib64"} /usr/local/cuda/lib64; do
    [ -e "$folder/libnvrtc.so.13" ] && { echo "$folder"; return; }
  done
  python3 - <<'PYTHON' 2>/dev/null || true
import glob, site, sys
for folder in [*site.getsitepackages(), site.getusersitepackages()]:
    for found in sorted(glob.glob(folder + "/nvidia/**/libnvrtc.so.1[3-9]", recursive=True)):
        print(found.rsplit("/", 1)[0]); sys.exit()
PYTHON
}
if [ "$cuda" = pip ] && ! ls "$root"/build/cuda/lib/python3*/site-packages/nvidia/cu13/lib/libnvrtc.so.13 >/dev/null 2>&1; then
  say "installing NVIDIA's wheels nvidia-cuda-nvrtc and nvidia-cublas (about 600 MB) into build/cuda"
  python3 -m venv "$root/build/cuda"
  "$root/build/cuda/bin/pip" install -q 'nvidia-cuda-nvrtc>=13,<14' 'nvidia-cublas>=13,<14'
fi
if [ "$cuda" != none ]; then
  found=$(find_cuda | head -n 1)
  if [ -n "$found" ]; then
    say "CUDA libraries: $found"
  else
    say "no CUDA 13: plans will carry kernel sources only, and models run on the CPU (./setup.sh --cuda=pip gets NVIDIA's wheels)"
  fi
fi
