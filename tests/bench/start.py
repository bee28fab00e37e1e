#!/usr/bin/env python3
"""Milliseconds from the start of a process, `nanort run`, to the first token of a prompt, and what they were spent on: a
model with a file of f32 weights, as upstream writes them, in the page cache. Needs the plans of tests/gpu/prepare.sh bench:

    tests/bench/start.py --bundle DIR [--models d32,d32-e] [--prompt 512] [--repeat 5] [--folder /tmp]

--folder: where nanort writes random weights, while a model is measured; d32's take 7.5 GB, in generation E 16 GB."""
import argparse
import re
import statistics
import subprocess
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="what prepare.sh packed, unpacked")
    parser.add_argument("--models", default="d32,d32-e")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    ids = ",".join(str((7919 * i + 13) % 32000) for i in range(options.prompt))
    for model in options.models.split(","):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            weights = Path(folder) / "weights.safetensors"

            def run(*flags):
                command = [options.bundle / "bin/nanort", "run", options.bundle / "bench" / f"{model}.fb", "--device", "cuda",
                           "--ids", ids, "-n", "4", "--no-stop", *flags]
                done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
                if done.returncode != 0:
                    raise SystemExit(f"nanort run {model}.fb: exit {done.returncode}: {done.stderr.strip()}")
                return done.stderr

            run("--random-weights", 1, "--save-weights", weights, "-q")
            print(f"{model}: {weights.stat().st_size / 1e9:.1f} GB of weights", flush=True)
            times = []
            for _ in range(options.repeat):
                said = run("--weights", weights, "-v")
                for line in said.splitlines():
                    if "kernels" in line:  # where they came from; what the first token waited for
                        print("  " + line, flush=True)
                times.append(int(re.search(r"first token (\d+) ms", said).group(1)))
            print(f"{model}: first token after {', '.join(map(str, times))} ms, median {statistics.median(times):.0f}", flush=True)


if __name__ == "__main__":
    main()
