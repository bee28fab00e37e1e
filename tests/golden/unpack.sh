#!/usr/bin/env bash
# Unpacks the reference checkpoints into DIR/<name>/; does nothing for those already there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
for archive in "$here"/*.tar.xz; do
  name=$(basename "$archive" .tar.xz)
  [ -f "$1/$name/reference.safetensors" ] || tar -C "$1" -xJf "$archive"
done
