#!/usr/bin/env python3
"""Measures what can serve the matrix products and attentions of every plan of a bundle (tests/gpu/prepare.sh bench) on this
machine's GPU, and writes one tuning file for `nanocc --tuning`: how codegen/tuning/*.json were made, when only products
were measured.

    tests/bench/tune.py --bundle DIR -o h100.json [--rounds 5] [--update FILE]

--update: times of FILE that this run does not measure stay, as after a change of one engine."""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path


def key(time):
    """Of a problem's number of rows, by which a file is sorted, the problem and the choice."""
    rows = int(time["problem"].rpartition(" n=")[2])
    return rows, time["problem"], time["choice"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="what prepare.sh packed, unpacked")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--update", type=Path)
    options = parser.parse_args()
    whole, times, before = None, {}, {}
    if options.update:
        before = {key(time): time for time in json.loads(options.update.read_text())["times"]}
    with tempfile.TemporaryDirectory() as folder:
        for plan in sorted((options.bundle / "bench").glob("*.fb")):
            part = Path(folder) / "part.json"
            subprocess.run([str(options.bundle / "bin/nanort"), "tune", str(plan), "-q", "--rounds", str(options.rounds), "-o",
                            str(part)], check=True)
            whole = json.loads(part.read_text())
            for time in whole["times"]:
                times.setdefault(key(time), {**time, "us": round(time["us"], 3)})
            print(f"{plan.name}: {len(whole['times'])} times", flush=True)
    times = {**before, **times}
    head = {name: value for name, value in whole.items() if name != "times"}
    lines = ",\n".join("  " + json.dumps(times[k]) for k in sorted(times))
    options.out.write_text(json.dumps(head, indent=1)[:-2] + ',\n "times": [\n' + lines + "\n ]\n}\n")


if __name__ == "__main__":
    main()
