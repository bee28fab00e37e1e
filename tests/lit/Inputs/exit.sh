#!/bin/sh
# exit.sh N COMMAND...: succeeds if COMMAND ends with exactly N.
wanted=$1
shift
"$@"
got=$?
[ "$got" -eq "$wanted" ] && exit 0
echo "exit.sh: wanted exit code $wanted, got $got: $*" >&2
exit 1
