#!/usr/bin/env bash
# What each optimisation gives: plans of one model with one of them switched off each, and the command that measures them
# in turns. Compiles anywhere; measures where there is a CUDA device, and otherwise prints the command.
#
#   examples/optimisations/run.sh [PRESET]
#
# PRESET is one of nanocc-import's (default d12). TOOLS: folder of nanocc, nanocc-import and nanort (default
# build/release/bin). OUT: where the plans go (default build/optimisations/PRESET); copied as a whole to another machine,
# its bench.sh measures them there, with the nanort in the PATH.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
preset=${1:-d12}
tools=${TOOLS:-$root/build/release/bin}
out=${OUT:-$root/build/optimisations/$preset}
say() { echo "optimisations: $*" >&2; }

mkdir -p "$out"
"$tools/nanocc-import" --preset "$preset" --generation A -o "$out/model" -q

# plan NAME FLAGS: one of the plans; nothing but the flags differs. Four prompts of 512 tokens are one prefill of 2,048.
plans=()
plan() {
  say "$1: nanocc ${*:2}"
  "$tools/nanocc" "$out/model/model.mlir" -o "$out/$1.fb" --target sm_90a --precision bf16 --batch 4,8,32 \
    --prefill 2048 --max-seq 640 "${@:2}" || return
  plans+=("$1.fb")
}

# Products are named by their weights, h.N... and lm_head, attentions by their rings, which begin with a k.
plan base --template '*/[hl]*=wgmma'
plan chosen # each product by what the cost model prefers
# Without warpgroups, by the engines of other targets: mma's threads copy and multiply in turns; stream, for up to 8 rows,
# has a warp that copies and eight that multiply (mma.sync).
plan no-warpgroups --template '*/[hl]*=mma' --template 'decode_[48]/[hl]*=stream'
for stages in 4 2 1; do
  plan stages-$stages --template "*/[hl]*=wgmma,stages=$stages" || say "left out: not every product can have $stages stages"
done
# Each fusion is named as in nanocc --help; without the first two the epilogues are launches of their own.
plan no-fused-epilogues --template '*/[hl]*=wgmma' --fuse attention,embed,norm
plan no-fused-norms --template '*/[hl]*=wgmma' --fuse attention,embed,activation,residual
plan nothing-fused --template '*/[hl]*=wgmma' --fuse none

command="nanort bench base.fb --full-edges"
for name in "${plans[@]:1}"; do command+=" --compare $name"; done
command+=" --random-weights 1 --batch 4,8,32 --prompt 512 --new 128"
cat >"$out/bench.sh" <<SCRIPT
#!/usr/bin/env bash
# Made by examples/optimisations/run.sh: time to the first token and of a decode step, and both against base.fb.
cd "\$(dirname "\$0")"
exec $command "\$@"
SCRIPT
chmod +x "$out/bench.sh"
say "in $out: $command"
if [ -e /dev/nvidiactl ]; then
  PATH=$tools:$PATH "$out/bench.sh"
else
  say "no CUDA device here: nothing measured"
fi
