#!/usr/bin/env python3
"""The GPU checks on an unpacked bundle (prepare.sh checks): one line per check with its numbers, a table last.

Exit status 0 if every check passed. Writes log.txt, results.json and gpu_tests.xml to --out."""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from harness import Checks
from nvidia_tools import machine_code, sanitizer

# f32 logits against upstream's: another order of f32 sums moves them by 1e-5 (an independent numpy
# model does), fifty times that still sees an epsilon of 1e-5 instead of 2^-23.
F32_MAX, F32_MEAN = 5e-4, 1e-5
# bf16 logits against upstream's f32: as far as upstream's own bf16 strays, and a tenth for other roundings.
BF16_MEAN_FACTOR = 1.1
# lexicon-d4's mean NLL, relative bounds: 0.05 % in f32, 0.2 % in bf16.
LEXICON_NLL = {"f32": (2.5615, 0.0005), "bf16": (2.5615, 0.002), "fp8": (2.5615, 0.01)}
# lexicon-d4: what lies between these was put there by upstream's calculator.
OUTPUT_START, OUTPUT_END = 4094, 4095
SAMPLE_TIE = 0.05  # bf16 logits of this size are that coarse
# What a batch in bf16 chooses, in its prefill or in decode steps, by logits of another prefill in bf16: where the model
# wavers between two tokens, roundings move their difference by up to 0.28, of a row alone as well (CPU executor, row 108
# of batch_choices); twice that. Another row's keys or tokens cost whole units.
DECODE_TIE = 0.56


def tensors(path):
    """A safetensors file as numpy arrays; bf16 widened to f32."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    types = {"F32": "<f4", "BF16": "<u2", "F16": "<f2", "I32": "<i4", "I64": "<i8"}
    result = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[8 + length + begin:8 + length + end], types[entry["dtype"]])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        result[name] = array.reshape(entry["shape"])
    return result


def write_ids(path, ids, padding=-1):
    """A row, or several of different lengths."""
    rows = ids if isinstance(ids[0], list) else [ids]
    longest = max(map(len, rows))
    array = np.asarray([row + [padding] * (longest - len(row)) for row in rows], "<i4")
    header = json.dumps({"ids": {"dtype": "I32", "shape": array.shape, "data_offsets": [0, array.nbytes]}}).encode()
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header + array.tobytes())


def metadata(path):
    data = Path(path).read_bytes()
    return json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def logits_gap(checks, model, precision, context, chosen, expected, name):
    """How far apart the model itself puts two tokens after `context`."""
    ids, logits = checks.bundle / f"{name}.ids.safetensors", checks.bundle / f"{name}.logits.safetensors"
    write_ids(ids, context)
    checks.evaluate(model / f"{precision}.fb", f"{ids}:ids", "--logits", logits)
    last = tensors(logits)["logits"][0, -1]
    return abs(float(last[chosen] - last[expected]))


def first_difference(got, expected):
    if len(got) != len(expected):
        raise RuntimeError(f"{len(got)} ids instead of {len(expected)}")
    return next((i for i, (x, y) in enumerate(zip(got, expected)) if x != y), None)


def golden_logits(checks, model, precision, plan=None):
    plan = plan or precision
    reference, out = model / "reference.safetensors", model / f"{plan}.logits.safetensors"
    checks.evaluate(model / f"{plan}.fb", f"{reference}:prompt_ids", "--logits", out)
    expected = tensors(reference)["logits"]
    difference = np.abs(tensors(out)["logits"][:len(expected)] - expected)
    worst, mean = float(difference.max()), float(difference.mean())
    detail = f"max {worst:.2e}, mean {mean:.2e}"
    if precision == "f32":
        return worst <= F32_MAX and mean <= F32_MEAN, detail + f" (bounds {F32_MAX:.0e}, {F32_MEAN:.0e})"
    upstream = float(metadata(reference)["upstream_bf16_mean_error"])
    return mean <= BF16_MEAN_FACTOR * upstream, f"{detail}; {mean / upstream:.3f} of upstream's own bf16 error (bound {BF16_MEAN_FACTOR})"


def golden_greedy(checks, model, plan="f32"):
    reference = tensors(model / "reference.safetensors")
    expected = reference["greedy_ids"].tolist()
    got = checks.generate(model / f"{plan}.fb", "--ids", f"@{model}/reference.safetensors:prompt_ids", "-n", len(expected[0]),
                          "--no-stop")["ids"]
    splits = [(row, first_difference(a, b)) for row, (a, b) in enumerate(zip(got, expected)) if a != b]
    return not splits and len(got) == len(expected), (f"{len(expected)} x {len(expected[0])} ids equal" if not splits else
                                                      f"rows differ at {splits}")


def lexicon_nll(checks, model, precision, plan=None):
    result = checks.evaluate(model / f"{plan or precision}.fb", f"{model}/eval.safetensors:heldout_ids")
    expected, bound = LEXICON_NLL[precision]
    return (abs(result["mean_nll"] - expected) <= bound * expected,
            f"mean NLL {result['mean_nll']:.6f} over {result['tokens']} tokens, expected {expected} within {100 * bound} %")


def segments(sample):
    """Pieces of the answer that upstream sampled, each after all that precedes it, the calculator's results included."""
    prompt, answer = sample["prompt_ids"], sample["bf16_greedy_ids"]
    while OUTPUT_START in answer:
        begin, end = answer.index(OUTPUT_START), answer.index(OUTPUT_END) + 1
        yield prompt, answer[:begin]
        prompt, answer = prompt + answer[:end], answer[end:]
    yield prompt, answer


def lexicon_samples(checks, model, precision):
    """f32: the whole answer. bf16: with the calculator's results from the sample, and where another token was chosen, a
    tie; what follows it is then checked after upstream's token."""
    samples = json.loads((model / "samples.json").read_text())
    equal, notes, worst = 0, [], 0.0
    for i, sample in enumerate(samples):
        pieces = [(sample["prompt_ids"], sample["bf16_greedy_ids"])] if precision == "f32" else list(segments(sample))
        good = True
        while pieces:
            prompt, expected = pieces.pop()
            if not expected:
                continue
            got = checks.generate(model / f"{precision}.fb", "--ids", ",".join(map(str, prompt)), "-n", len(expected),
                                  "--no-stop")["ids"][0]
            at = first_difference(got, expected)
            if at is None:
                continue
            good = False
            gap = logits_gap(checks, model, precision, prompt + expected[:at], got[at], expected[at], f"{precision}-{i}")
            worst = max(worst, gap)
            notes.append(f"'{sample['prompt']}' differs at id {at}, by {gap:.3f}")
            pieces.append((prompt + expected[:at + 1], expected[at + 1:]))
        equal += good
    passed = equal == len(samples) if precision == "f32" else worst <= SAMPLE_TIE
    return passed, f"{equal} of {len(samples)} equal upstream's" + "".join("; " + note for note in notes)


def same_under(checks, plan, what, *arguments, device=None, **environment):
    plain = checks.generate(plan, *arguments)["ids"]
    other = checks.generate(plan, *arguments, device=device, **environment)["ids"]
    return plain == other, f"{what}: " + ("ids equal" if plain == other else f"{other} instead of {plain}")


def long_context(checks, plan):
    """Logits of 2,000 forced tokens, then 8 decoded ones, past the short windows: CUDA against the CPU executor, f32."""
    ids = [(7919 * i + 13) % 32000 for i in range(2000)]
    path = checks.bundle / "long.safetensors"
    write_ids(path, ids)
    found = {}
    for device in (checks.device, "cpu"):
        logits = checks.bundle / f"long.{device}.safetensors"
        checks.nanort("eval", plan, "--device", device, "--random-weights", 1, "--ids", f"{path}:ids", "--logits", logits,
                      "--json")
        found[device] = (tensors(logits)["logits"][0],
                         checks.generate(plan, "--random-weights", 1, "--ids", f"@{path}:ids", "-n", 8, "--no-stop",
                                         device=device)["ids"])
    worst = float(np.abs(found[checks.device][0] - found["cpu"][0]).max())
    equal = found[checks.device][1] == found["cpu"][1]
    return worst <= F32_MAX and equal, f"logits max {worst:.2e} (bound {F32_MAX:.0e}), next 8 ids {'equal' if equal else 'differ'}"


def long_context_bf16(checks, model, plan):
    """Logits of 2,000 forced tokens in bf16, past the short windows: as far from the CPU executor's f32 as its bf16 is."""
    ids = [(7919 * i + 13) % 32000 for i in range(2000)]
    path = model / f"long.{plan}.ids.safetensors"
    write_ids(path, ids)
    found = {}
    for name, precision, device in (("f32", "f32", "cpu"), ("bf16", "bf16", "cpu"), ("tested", plan, checks.device)):
        logits = model / f"long.{plan}.{name}.safetensors"
        checks.nanort("eval", model / f"{precision}.fb", "--device", device, "--random-weights", 1, "--ids", f"{path}:ids",
                      "--logits", logits, "--json")
        found[name] = tensors(logits)["logits"][0]
    mean = {name: float(np.abs(found[name] - found["f32"]).mean()) for name in ("bf16", "tested")}
    return mean["tested"] <= BF16_MEAN_FACTOR * mean["bf16"], (
        f"mean |difference| to f32 {mean['tested']:.2e}, of the CPU's bf16 {mean['bf16']:.2e} (bound {BF16_MEAN_FACTOR} times)")


def same_bits(checks, plan, ids):
    """Logits of a scored text: the same bytes on two runs, where every launch waits for the one before, and where blocks are
    late at random in a poisoned arena."""
    files = {}
    for name, environment in (("again", {}), ("launch by launch", {"NANORT_SYNC": "1"}),
                              ("chaos", {"NANORT_CHAOS": "1", "NANORT_POISON": "1"}), ("once", {})):
        logits = plan.with_name(f"{plan.stem}.{name.replace(' ', '-')}.bits.safetensors")
        checks.nanort("eval", plan, "--device", checks.device, "--ids", ids, "--logits", logits, "--json", **environment)
        files[name] = logits.read_bytes()
    differ = [name for name, data in files.items() if data != files["once"]]
    return not differ, f"{len(files['once']) >> 20} MiB of logits, 4 ways: " + (f"{differ} differ" if differ else "equal bytes")


def stops(checks, plan, ids):
    """What ends a generation, decided on the device inside its graph: as on the CPU executor."""
    free = checks.generate(plan, "--ids", ids, "-n", 24, "--no-stop", device="cpu")["ids"][0]
    later = next(id for id in free[8:] if id not in free[:8])
    room = checks.generate(plan, "--ids", ids, "-n", 4096, "--no-stop", device="cpu")
    notes = []
    for name, arguments in (("limit", ["-n", 24, "--no-stop"]), ("stop id", ["-n", 24, "--stop-ids", later]),
                            ("first token", ["-n", 24, "--stop-ids", free[0]]), ("context", ["-n", 4096, "--no-stop"])):
        cuda = checks.generate(plan, "--ids", ids, *arguments)
        cpu = room if name == "context" else checks.generate(plan, "--ids", ids, *arguments, device="cpu")
        same = cuda["ids"] == cpu["ids"] and cuda["finish"] == cpu["finish"]
        notes.append((same, f"{name}: {len(cuda['ids'][0])} tokens, {cuda['finish'][0]}" + ("" if same else f", not {cpu['finish']}")))
    return all(same for same, _ in notes), "; ".join(text for _, text in notes)


def batch_alone(checks, rows):
    """f32, d4: prompts of 1 to 2,048 tokens together, and each alone by a plan for one row: the same ids."""
    lengths = [(1, 2048, 2, 31, 2047, 64, 128, 129, 511, 512, 513, 1024, 1023, 33, 32, 257)[i % 16] for i in range(rows)]
    prompts = [[(7919 * (i + 1) + 104729 * row) % 32000 for i in range(length)] for row, length in enumerate(lengths)]
    path = checks.bundle / f"batch{rows}.safetensors"
    write_ids(path, prompts)
    ids = [checks.generate(checks.bundle / f"preset/d4/{plan}.fb", "--random-weights", 1, "--ids", f"@{path}:ids", "-n", 8,
                           "--no-stop")["ids"] for plan in ("batches", "single")]
    splits = [row for row, (together, alone) in enumerate(zip(*ids, strict=True)) if together != alone]
    return not splits and [len(row) for row in ids[0]] == [8] * rows, (f"{rows} prompts of 1 to 2,048 tokens, 8 new: " +
                                                (f"rows {splits} differ from alone" if splits else "ids as each alone"))


def batch_choices(checks, model, rows, plan="batches"):
    """bf16, lexicon-d4: what each row of a batch chooses is, by logits of the row alone, the most likely or nearly so."""
    heldout = tensors(model / "eval.safetensors")["heldout_ids"]
    prompts = [heldout[row % len(heldout), :1 + 37 * row % 240].tolist() for row in range(rows)]
    path, texts, logits = (checks.bundle / f"choices{rows}.{plan}.{kind}.safetensors" for kind in ("prompts", "texts", "logits"))
    write_ids(path, prompts)
    chosen = checks.generate(model / f"{plan}.fb", "--ids", f"@{path}:ids", "-n", 8, "--no-stop")["ids"]
    write_ids(texts, [prompt + ids for prompt, ids in zip(prompts, chosen)], padding=0)  # no token sees a later one
    checks.evaluate(model / "bf16.fb", f"{texts}:ids", "--logits", logits)
    alone, worst, equal = tensors(logits)["logits"], 0.0, 0
    for row, (prompt, ids) in enumerate(zip(prompts, chosen)):
        for i, id in enumerate(ids):
            there = alone[row, len(prompt) - 1 + i]
            gap = float(there.max() - there[id])
            worst, equal = worst if gap <= worst else gap, equal + (gap == 0)  # NaN stays
    count = sum(map(len, chosen))
    return worst <= DECODE_TIE and equal >= 0.97 * count and count == 8 * rows, (
        f"{rows} prompts of 1 to 240 tokens, 8 new: {equal} of {count} the most likely alone, the others by at most "
        f"{worst:.3f} less (bounds 97 %, {DECODE_TIE})")


def against_cpu(checks, plan, *arguments):
    text = checks.run(checks.bundle / "bin/nanort", "check", plan, "-q", "--device", checks.device, "--against", "cpu",
                      *arguments)
    worst = [(float(m.group(2)), m.group(1)) for m in re.finditer(r"^(\w+(?: by \w+)?) +\d+ +([0-9.]+)", text, re.M)]
    detail = ", ".join(f"{kernel} {ratio:.2f}" for ratio, kernel in sorted(worst, reverse=True)[:3])
    return "agree" in text, "worst kernels (1 is the limit): " + detail


def decode_launches(checks, plan):
    """Launches of the sm_90a program's decode entry of one row, eager and planned."""
    report = json.loads(checks.nanort("inspect", plan, "--json"))

    def programs(node):
        if isinstance(node, dict):
            if "entries" in node:
                yield node
            for value in node.values():
                yield from programs(value)
        elif isinstance(node, list):
            for value in node:
                yield from programs(value)

    found = list(programs(report))
    chosen = next((p for p in found if p.get("target") == "sm_90a" or p.get("program") == "sm_90a"), found[-1])
    entry = next(e for e in chosen["entries"] if e["kind"] == "decode" and e["batch"] == 1)
    return entry["eager"]["launches"], entry["plan"]["launches"]


def timing(checks, plan, prompt, *arguments):
    """All ways of launching, one after the other; the whole generation's graph gives the result."""
    runs = {}
    for mode in ("eager", "fused", "graph", "graph-full"):
        measured = plan.with_name("eager.fb") if mode == "eager" else plan
        text = checks.nanort("bench", measured, "--device", checks.device, "--prompt", prompt, "--new", 128, "--repeat", 5,
                             "--mode", mode, "--format", "json", *arguments)
        report = json.loads(text.splitlines()[-1])
        runs[mode] = report["results"][0]
    eager, fused, step, graph = runs["eager"], runs["fused"], runs["graph"], runs["graph-full"]
    unfused, launches = decode_launches(checks, plan)
    return True, (f"TTFT {graph['ttft_ms']:.2f} ms, TPOT {graph['tpot_ms_mean']:.4f} ms (p99 {graph['tpot_ms_p99']:.4f}; "
                  f"a graph a step {step['tpot_ms_mean']:.4f}, launch by launch {fused['tpot_ms_mean']:.4f}), {graph['tok_s']:.0f} tok/s, {launches} launches a step; "
                  f"eager, one launch per operation: {unfused} launches, TTFT {eager['ttft_ms']:.2f} ms, TPOT "
                  f"{eager['tpot_ms_mean']:.4f} ms; median of 5 on {report['device']}"), {
                      "graph": graph, "step": step, "fused": fused, "eager": eager, "launches": launches, "eager_launches": unfused,
                      "device": report["device"]}


def kernels(checks, only="*", target=None):
    """The kernels whose names match, compiled for the device or for a virtual architecture."""
    command = [str(checks.bundle / "bin/gpu_tests"), "--gtest_brief=1", f"--gtest_filter={only}",
               f"--gtest_output=xml:{checks.out}/gpu_tests{'.' + target if target else ''}.xml"]
    environment = {**os.environ, **({"NANORT_TEST_TARGET": target} if target else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment,
                          timeout=checks.deadline - time.monotonic())
    text = done.stdout + done.stderr
    for line in text.splitlines():
        if "worst difference" in line:
            checks.say("     " + line)
    if done.returncode != 0:
        for line in text.splitlines()[:60]:
            checks.say("     " + line)
    passed = re.search(r"\[  PASSED  \] (\d+) test", text)
    return done.returncode == 0, f"{passed.group(1) if passed else 0} tests passed, exit {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="what prepare.sh packed, unpacked")
    parser.add_argument("--out", type=Path, required=True, help="folder for logs and numbers")
    parser.add_argument("--budget", type=float, default=540, help="seconds; what does not fit is skipped")
    parser.add_argument("--only", default="", help="regular expression on the names of checks")
    parser.add_argument("--device", default="cuda", help="cpu tries out this script")
    options = parser.parse_args()
    checks = Checks(options.bundle, options.out, options.budget, options.device)
    wanted = lambda name: re.search(options.only, name)
    lexicon = options.bundle / "lexicon"
    goldens = sorted(path for path in (options.bundle / "golden").glob("*") if path.is_dir())

    if wanted("kernels"):
        checks.check("kernels", lambda: kernels(checks))
    # What differs on devices before sm_90, from PTX that the driver takes here as well.
    if wanted("kernels of sm_80"):
        names = ("product*", "attention*", "embed_*", "prepare_qkv*", "sample*", "feed*", "advance*")
        checks.check("kernels of sm_80", lambda: kernels(checks, ":".join(f"All/*/{name}" for name in names), "compute_80"))

    if wanted("sass"):
        # Plans of models large enough for the engines of large models, and those that are forced to them.
        plans = sorted(plan for name in ("bf16", "forced") for plan in options.bundle.glob(f"preset/*/{name}.fb"))
        checks.check("sass", lambda: machine_code(checks, plans))

    correctness = []
    for model in goldens:
        for precision in ("f32", "bf16"):
            correctness.append((f"logits {model.name} {precision}", lambda m=model, p=precision: golden_logits(checks, m, p)))
        correctness.append((f"greedy {model.name} f32", lambda m=model: golden_greedy(checks, m)))
        # One launch per operation, products by cuBLASLt.
        correctness.append((f"logits {model.name} unfused", lambda m=model: golden_logits(checks, m, "f32", "unfused")))
        correctness.append((f"greedy {model.name} unfused", lambda m=model: golden_greedy(checks, m, "unfused")))
    prompt = json.loads((lexicon / "samples.json").read_text())[1]["prompt_ids"]
    ids = ",".join(map(str, prompt))
    for precision in ("f32", "bf16"):
        plan = lexicon / f"{precision}.fb"
        correctness += [
            (f"nll lexicon {precision}", lambda p=precision: lexicon_nll(checks, lexicon, p)),
            (f"samples lexicon {precision}", lambda p=precision: lexicon_samples(checks, lexicon, p)),
            (f"poison lexicon {precision}",
             lambda plan=plan: same_under(checks, plan, "arena and KV filled with NaN", "--ids", ids, "-n", 24,
                                          NANORT_POISON="1")),
            (f"repeat lexicon {precision}",
             lambda plan=plan: same_under(checks, plan, "sampled twice", "--ids", ids, "-n", 24, "-t", 0.8, "-k", 50,
                                          "--samples", 2, "--no-stop")),
            (f"check lexicon {precision}", lambda plan=plan: against_cpu(checks, plan)),
        ]
        for model in goldens:
            if model.name == "head-gqa":
                correctness.append((f"check head-gqa {precision}",
                                    lambda plan=model / f"{precision}.fb": against_cpu(checks, plan)))
    for name, plan, arguments in (("lexicon", lexicon / "bf16.fb", []),
                                  ("d12", options.bundle / "preset/d12/bf16.fb", ["--random-weights", 1])):
        correctness.append((f"graph as eager {name}",
                            lambda plan=plan, a=arguments: same_under(
                                checks, plan, "64 tokens by one graph and launch by launch", "--ids", ids, "-n", 64,
                                "--no-stop", *a, NANORT_SYNC="1")))
        for seed in (1, 2):
            correctness.append((f"chaos {seed} {name}",
                                lambda plan=plan, a=arguments, s=seed: same_under(
                                    checks, plan, "64 tokens with blocks late at random and a poisoned arena", "--ids", ids,
                                    "-n", 64, "--no-stop", *a, NANORT_CHAOS=str(s), NANORT_POISON="1")))
    # The engines of sm_80, their sources compiled here for this device.
    correctness += [("nll lexicon sm_80", lambda: lexicon_nll(checks, lexicon, "bf16", "sm_80")),
                    ("check lexicon sm_80", lambda: against_cpu(checks, lexicon / "sm_80.fb"))]
    # Products whose weights are e4m3; their rounding costs 0.6 % of the likelihood on the CPU too.
    correctness += [("nll lexicon fp8", lambda: lexicon_nll(checks, lexicon, "fp8")),
                    ("check lexicon fp8", lambda: against_cpu(checks, lexicon / "fp8.fb")),
                    ("check d12 fp8", lambda: against_cpu(checks, options.bundle / "preset/d12/fp8.fb", "--random-weights", 1))]
    # The engines for large models, which the bundled ones are too small to choose.
    correctness += [
        ("check lexicon forced", lambda: against_cpu(checks, lexicon / "forced.fb")),
        ("check d4 forced", lambda: against_cpu(checks, options.bundle / "preset/d4/forced.fb", "--random-weights", 1)),
        ("check heads of 80", lambda: against_cpu(checks, options.bundle / "preset/heads-80/bf16.fb", "--random-weights", 1)),
        ("batch 8 lexicon forced", lambda: batch_choices(checks, lexicon, 8, "forced")),
        ("stops lexicon", lambda: stops(checks, lexicon / "f32.fb", ids)),
    ]
    ragged = checks.bundle / "ragged.safetensors"
    write_ids(ragged, [prompt * (row + 1) for row in range(8)])
    texts = checks.bundle / "texts.safetensors"
    write_ids(texts, [prompt * (row + 1) for row in range(8)], padding=0)
    together = [lexicon / "forced.fb", "--ids", f"@{ragged}:ids", "--no-stop"]
    correctness += [(f"chaos {seed} batch 8 forced",
                     lambda s=seed: same_under(checks, together[0], "8 rows of different lengths, 32 tokens at temperature 1",
                                               *together[1:], "-n", 32, "-t", 1, NANORT_CHAOS=str(s), NANORT_POISON="1"))
                    for seed in (1, 2)]
    correctness += [("graph as eager batch 8 forced",
                     lambda: same_under(checks, together[0], "8 rows of different lengths, 32 tokens at temperature 1",
                                        *together[1:], "-n", 32, "-t", 1, NANORT_SYNC="1"))]
    for plan in ("bf16", "forced"):
        correctness.append((f"same bits {plan}", lambda p=plan: same_bits(checks, lexicon / f"{p}.fb", f"{texts}:ids")))
        correctness.append((f"2,000 positions {plan}",
                            lambda p=plan: long_context_bf16(checks, options.bundle / "preset/d4", p)))
    for rows in (8, 32, 128):
        correctness.append((f"batch {rows} d4 f32", lambda rows=rows: batch_alone(checks, rows)))
        correctness.append((f"batch {rows} lexicon bf16", lambda rows=rows: batch_choices(checks, lexicon, rows)))
    correctness.append(("2,000 positions f32", lambda: long_context(checks, options.bundle / "preset/d4/f32.fb")))
    correctness.append(("sampling as on the CPU",
                        lambda: same_under(checks, lexicon / "f32.fb", "f32, temperature 0.8, top 50", "--ids", ids, "-n",
                                           24, "-t", 0.8, "-k", 50, "--no-stop", device="cpu")))
    checks.together([(name, body) for name, body in correctness if wanted(name)])

    common = [lexicon / "bf16.fb", "-q", "--device", options.device]
    run = ["run", *common, "--ids", ids, "-n", 3, "--no-stop", "--json"]
    step = ["bench", *common, "--mode", "graph", "--prompt", 8, "--new", 3, "--repeat", 1]
    for kind in ("memcheck", "racecheck", "initcheck"):
        ways = [("eager", run, {"NANORT_SYNC": "1"}), ("step graph", step, {})]
        if kind != "racecheck":  # the tool itself ends with a signal on graphs with loops
            ways.append(("one graph", run, {}))
        for way, command, environment in ways:
            if wanted(f"{kind} lexicon {way}"):
                checks.check(f"{kind} lexicon {way}",
                             lambda k=kind, c=command, e=environment: sanitizer(checks, k, *c, **e))
        if wanted(f"{kind} batch 8 forced"):
            checks.check(f"{kind} batch 8 forced",
                         lambda k=kind: sanitizer(checks, k, "run", *together, "-q", "--device", options.device, "-n", 3,
                                                  "--json", NANORT_SYNC="1"))
    for name, plan, count, arguments in (("lexicon-d4", lexicon / "bf16.fb", 256, []),
                                         ("d12", options.bundle / "preset/d12/bf16.fb", 512, ["--random-weights", 1]),
                                         ("d20", options.bundle / "preset/d20/bf16.fb", 512, ["--random-weights", 1])):
        if wanted(f"timing {name}"):
            checks.check(f"timing {name} prompt {count}",
                         lambda plan=plan, p=count, a=arguments: timing(checks, plan, p, *a))

    width = max((len(result["name"]) for result in checks.results), default=0)
    checks.say("\n" + "\n".join(f"{r['status']}  {r['name']:<{width}}  {r['detail'][:260]}" for r in checks.results))
    failed = [r for r in checks.results if r["status"] == "FAIL"]
    skipped = [r for r in checks.results if r["status"] == "SKIP"]
    checks.say(f"{len(checks.results)} checks, {len(failed)} failed, {len(skipped)} skipped")
    (options.out / "results.json").write_text(json.dumps(checks.results, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
