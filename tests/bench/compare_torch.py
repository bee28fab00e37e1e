#!/usr/bin/env python3
"""Decode steps of nanort against PyTorch on one GPU, in turns: generation A, vocabulary 65,536, bf16, random weights, greedy.

The peer is what a careful user writes by hand: a static KV cache, every block compiled, a whole step in one CUDA graph.
Each round measures nanort, then the peer; the table shows medians over rounds. Needs PyTorch, and the plans of tests/gpu/prepare.sh bench:

    tests/bench/compare_torch.py --bundle DIR [--models d12,d20,d32] [--batch 1,8] [--rounds 2] [--out FILE.json]

With --sampling nothing is compared: a table of what nanort's sampling launch takes, greedy and with top-k 50. With --prefill
neither: GPU time of whole prompts on the plans MODEL-e (generation E), from the first launch's begin to the last one's end."""
import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import torch
import torch.nn.functional as F

VOCAB, HEAD, SOFTCAP = 65536, 128, 15.0
# ms a step: what is asked for, and bytes over 3.12 TB/s (prompt 512, 128 new).
REQUIRED = {("d12", 1): 0.19, ("d20", 1): 0.50, ("d32", 1): 1.50, ("d12", 8): 0.265, ("d20", 8): 0.68, ("d32", 8): 1.95,
            ("d12", 32): 0.47, ("d20", 32): 1.23, ("d32", 32): 3.3, ("d12", 128): 1.25, ("d20", 128): 3.3, ("d32", 128): 8.5}
FLOOR = {("d12", 1): 0.0935, ("d20", 1): 0.325, ("d32", 1): 1.167, ("d12", 8): 0.141, ("d20", 8): 0.457, ("d32", 8): 1.506,
         ("d12", 32): 0.305, ("d20", 32): 0.911, ("d32", 32): 2.669, ("d12", 128): 0.959, ("d20", 128): 2.728, ("d32", 128): 7.32}
# ms of GPU time of one prefill: (model, prompts, tokens of each).
PREFILLS = {("d12", 1, 2048): 1.25, ("d20", 1, 2048): 3.8, ("d32", 1, 2048): 12.5, ("d32", 1, 512): 4.6, ("d12", 32, 512): 6.4}


def norm(x):
    return F.rms_norm(x, (x.shape[-1],))


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)


def block(x, weights, keys, values, cos, sin, position, visible):
    """One layer on [batch, tokens, width]; its keys and values enter the cache [batch, heads, positions, HEAD]."""
    batch, tokens, width = x.shape
    heads = width // HEAD
    split = lambda y: y.view(batch, tokens, heads, HEAD).transpose(1, 2)
    q, k, v = (split(part) for part in F.linear(norm(x), weights["qkv"]).chunk(3, dim=-1))
    keys.index_copy_(2, position, norm(rotate(k, cos, sin)))
    values.index_copy_(2, position, v)
    y = F.scaled_dot_product_attention(norm(rotate(q, cos, sin)), keys, values, attn_mask=visible)
    x = x + F.linear(y.transpose(1, 2).reshape(batch, tokens, width), weights["out"])
    return x + F.linear(F.relu(F.linear(norm(x), weights["up"])).square(), weights["down"])


def choose(x, head):
    logits = F.linear(norm(x[:, -1]), head).float()
    return (SOFTCAP * torch.tanh(logits / SOFTCAP)).argmax(-1, keepdim=True)


class Peer:
    def __init__(self, depth, prompt, new):
        self.prompt, self.new, self.depth = prompt, new, depth
        width = 64 * depth
        matrix = lambda rows, columns: torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16) * columns**-0.5
        self.table, self.head = matrix(VOCAB, width), matrix(VOCAB, width)
        self.layers = [{"qkv": matrix(3 * width, width), "out": matrix(width, width), "up": matrix(4 * width, width),
                        "down": matrix(width, 4 * width)} for _ in range(depth)]
        self.positions = prompt + new
        frequencies = 10000.0 ** (-torch.arange(0, HEAD, 2, device="cuda").float() / HEAD)
        angles = torch.outer(torch.arange(self.positions, device="cuda").float(), frequencies)
        self.cos, self.sin = angles.cos().bfloat16(), angles.sin().bfloat16()
        self.block = torch.compile(block, dynamic=False)
        self.choose = torch.compile(choose, dynamic=False)

    def forward(self, ids, position, run_block, run_choose):
        x = norm(F.embedding(ids, self.table))
        cos, sin = self.cos[position], self.sin[position]
        visible = self.everything[None] <= position[:, None]
        for weights, (keys, values) in zip(self.layers, self.cache):
            x = run_block(x, weights, keys, values, cos, sin, position, visible)
        return run_choose(x, self.head)

    def prepare(self, batch):
        """Compiles and captures a step of this batch."""
        shape = (batch, self.depth // 2, self.positions, HEAD)
        zeros = lambda: torch.zeros(shape, device="cuda", dtype=torch.bfloat16)
        self.cache = [(zeros(), zeros()) for _ in self.layers]
        self.everything = torch.arange(self.positions, device="cuda")
        self.ids = torch.randint(VOCAB, (batch, self.prompt), device="cuda")
        self.token = torch.zeros(batch, 1, dtype=torch.long, device="cuda")
        self.position = torch.full((1,), self.prompt, device="cuda")

        def step():
            self.token.copy_(self.forward(self.token, self.position, self.block, self.choose))
            self.position.add_(1)

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        self.position.fill_(self.prompt)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            step()

    def request(self):
        """ms to the first token and a step; prefill is eager, no peer for prefill."""
        torch.cuda.synchronize()
        start = time.perf_counter()
        first = self.forward(self.ids, torch.arange(self.prompt, device="cuda"), block, choose)
        self.token.copy_(first)
        self.position.fill_(self.prompt)
        torch.cuda.synchronize()
        middle = time.perf_counter()
        for _ in range(self.new - 1):
            self.graph.replay()
        torch.cuda.synchronize()
        return 1e3 * (middle - start), 1e3 * (time.perf_counter() - middle) / (self.new - 1)

    def measure(self, batch, repeat):
        self.prepare(batch)
        self.request()
        runs = [self.request() for _ in range(repeat)]
        self.cache = self.graph = None
        torch.cuda.empty_cache()
        return {"ttft_ms": statistics.median(run[0] for run in runs), "tpot_ms": statistics.median(run[1] for run in runs)}


def nanort(options, plan, mode, *flags, batch=None, prompt=None, new=None):
    done = subprocess.run([str(options.bundle / "bin/nanort"), "bench", str(plan), "-q", "--device", "cuda", "--random-weights",
                           "1", "--batch", str(batch or options.batch), "--prompt", str(prompt or options.prompt), "--new",
                           str(new or options.new),
                           "--repeat", str(options.repeat), "--mode", mode, "--format", "json", *flags],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"nanort bench {plan}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def sampling(options):
    """Of a decode step, the launches of `sample`."""
    print("| model | batch | greedy us | top-k 50 us |\n|---|---|---|---|")
    for model in options.models.split(","):
        plan = options.bundle / "bench" / f"{model}.fb"
        ways = [nanort(options, plan, "graph", "--explain", *flags)["explain"] for flags in ((), ("-t", "0.8", "-k", "50"))]
        for steps in zip(*ways):
            if not steps[0]["entry"].startswith("decode"):
                continue
            us = [sum(launch["us"] for launch in step["launches"] if launch["kernel"].startswith("sample_")) for step in steps]
            print(f"| {model} | {steps[0]['batch']} | {us[0]:.2f} | {us[1]:.2f} |", flush=True)


def prefills(options):
    print("| model | prompts | tokens | GPU ms | required | launches |\n|---|---|---|---|---|---|")
    for (model, rows, tokens), required in PREFILLS.items():
        plan = options.bundle / "bench" / f"{model}-e.fb"
        if model not in options.models.split(",") or not plan.exists():
            continue
        steps = nanort(options, plan, "graph", "--explain", batch=rows, prompt=tokens, new=2)["explain"]
        step = next(step for step in steps if step["entry"].startswith("prefill"))
        print(f"| {model} | {rows} | {tokens} | {step['step_us'] / 1e3:.3f} | {required} | {len(step['launches'])} |", flush=True)


def conditions():
    query = "--query-gpu=clocks.sm,power.draw,temperature.gpu"
    return subprocess.run(["nvidia-smi", query, "--format=csv,noheader"], capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="what prepare.sh packed, unpacked")
    parser.add_argument("--models", default="d12,d20,d32")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=5, help="requests of each measurement, after one to warm up")
    parser.add_argument("--rounds", type=int, default=2, help="turns of nanort and peer")
    parser.add_argument("--mode", default="graph-full", choices=("graph-full", "graph", "eager"))
    parser.add_argument("--out", type=Path, help="all numbers as JSON")
    parser.add_argument("--sampling", action="store_true", help="microseconds of the sampling launch instead")
    parser.add_argument("--prefill", action="store_true", help="GPU milliseconds of prefills instead")
    options = parser.parse_args()
    if options.sampling or options.prefill:
        return sampling(options) if options.sampling else prefills(options)
    batches = [int(batch) for batch in options.batch.split(",")]
    rows, log = [], []
    with torch.inference_mode():
        for model in options.models.split(","):
            torch.manual_seed(1)
            torch._dynamo.reset()
            plan, peer = options.bundle / "bench" / f"{model}.fb", Peer(int(model[1:]), options.prompt, options.new)
            measured = []
            for round_ in range(options.rounds):
                ours = {r["batch"]: r for r in nanort(options, plan, options.mode)["results"]}
                between = conditions()
                theirs = {batch: peer.measure(batch, options.repeat) for batch in batches}
                measured.append((ours, theirs))
                log.append({"model": model, "round": round_, "nanort": ours, "peer": theirs, "gpu": [between, conditions()]})
                print(f"# {model} round {round_ + 1}: SM clock, power, temperature {between}; then {log[-1]['gpu'][1]}", flush=True)
            for batch in batches:
                middle = lambda side, key: statistics.median(pair[side][batch][key] for pair in measured)
                rows.append((model, batch, middle(1, "tpot_ms"), middle(0, "tpot_ms_mean"), REQUIRED.get((model, batch)),
                             FLOOR.get((model, batch)), middle(0, "mbu") if ours[batch]["mbu"] is not None else None,
                             ours[batch]["launches_per_step"], middle(0, "ttft_ms")))
            for row in rows[-len(batches):]:
                print("# " + ", ".join(str(value) for value in row), flush=True)
            del peer
            torch.cuda.empty_cache()
    number = lambda value, form=".4f": "" if value is None else format(value, form)
    print(f"\n{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, prompt {options.prompt}, {options.new} new, ms a decode step")
    print("| model | batch | peer | nanort | required | byte floor | mbu | launches | nanort TTFT ms |\n|---|---|---|---|---|---|---|---|---|")
    for model, batch, theirs, ours, required, floor, mbu, launches, ttft in rows:
        print(f"| {model} | {batch} | {theirs:.4f} | {ours:.4f} | {number(required)} | {number(floor)} | {number(mbu, '.3f')} | {launches} | {ttft:.2f} |")
    if options.out:
        options.out.write_text(json.dumps(log, indent=1))


if __name__ == "__main__":
    main()
