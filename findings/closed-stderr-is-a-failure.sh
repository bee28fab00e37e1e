#!/usr/bin/env bash
# A tool on LLVM's streams that has something to say, and no standard error to say it on, ends with another status.
# Version: clang-format 22.1.0 (LLVM's raw_ostream), Linux.
# Guess: a warning that nobody can read is lost, and the status is that of the work, 0.
# Seen: 1. The destructor of llvm::errs() finds that a write has failed and calls it fatal, at the very end of the process, when
#   the work is done. A caller that closes descriptor 2 takes a success with a warning for a failure. Without a warning: 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q clang-format==22.1.0
cd "$work"
echo 'int  x ;' >untidy.cpp
echo 'int x;' >tidy.cpp
status() { # FILE REDIRECTION
  local got=0
  eval "venv/bin/clang-format --dry-run $1 $2" || got=$?
  echo "$1 $2: $got"
  [ $got -eq "$3" ] || { echo changed; exit 1; }
}
status untidy.cpp '2>/dev/null' 0
status untidy.cpp '2>&-' 1
status tidy.cpp '2>&-' 0
