#!/bin/sh
# outputs.sh INPUTS FOLDER: makes a plan with weights and ids in FOLDER, asks every tool to write its output over every file
# that it reads or names, and succeeds if each refuses with 2 and all files are as they were.
set -eu
inputs=$1
rm -rf "$2" "$2/../checkpoint" "$2/../imported"
mkdir -p "$2"
cd "$2"
python3 "$inputs/tiny.py" --vocab 64 --padded 64 >model.mlir
nanocc model.mlir --target cpu --batch 1 --max-seq 32 --prefill 16 -o plan.fb
nanort run plan.fb --random-weights 1 --save-weights model.safetensors --ids 1,2 -n 1 --no-stop --device cpu >/dev/null
python3 "$inputs/ids.py" '[[1, 2], [3, 4]]' ids.safetensors
echo '{"format": 2, "target": "sm_90a", "device": "d", "times": []}' >tuning.json
ln -s plan.fb soft.fb
ln plan.fb hard.fb
ln -s model.safetensors soft.safetensors
sha256sum ./* >../outputs.sums

refused() {
  "$inputs/exit.sh" 2 "$@" 2>>../outputs.said
}
: >../outputs.said
for file in plan.fb soft.fb hard.fb model.safetensors soft.safetensors; do
  refused nanort run plan.fb --random-weights 1 --save-weights $file --ids 1,2 -n 1 --device cpu
  refused nanort bench plan.fb --random-weights 1 --save-weights $file --prompt 4 --new 2 --device cpu
  refused nanort eval plan.fb --ids ids.safetensors:ids --logits $file --device cpu
  refused nanort tune plan.fb -o $file
done
refused nanort run plan.fb --random-weights 1 --save-weights ids.safetensors --ids @ids.safetensors:ids -n 1 --device cpu
refused nanort eval plan.fb --ids ids.safetensors:ids --logits ids.safetensors --device cpu
for file in model.mlir model.safetensors soft.safetensors; do
  refused nanocc model.mlir --target cpu -o $file
  refused nanocc model.mlir --target cpu -o x.fb --report text --report-file $file
done
refused nanocc model.mlir --target sm_90a --tuning tuning.json -o tuning.json
refused nanocc model.mlir --target cpu -o x.fb --report text --report-file x.fb
refused nanocc-opt model.mlir -o model.mlir
cp -r "$inputs/../../../examples/lexicon/checkpoint" ../checkpoint
for name in model_000100.pt meta_000100.json tokenizer.pkl; do
  sha256sum ../checkpoint/$name >>../outputs.sums
  rm -rf ../imported && mkdir ../imported && ln -s ../checkpoint/$name ../imported/model.safetensors
  refused nanocc-import -q ../checkpoint -o ../imported
  rm -f ../imported/model.safetensors && ln ../checkpoint/$name ../imported/tokenizer.json
  refused nanocc-import -q ../checkpoint -o ../imported
done
test ! -e x.fb
sha256sum -c --quiet ../outputs.sums
test "$(grep -c "would replace" ../outputs.said)" -eq "$(wc -l <../outputs.said)"
