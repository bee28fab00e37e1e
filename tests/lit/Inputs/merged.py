"""Checks that the statistics in the file named second account for every launch that the plan named first has less."""
import json
import re
import subprocess
import sys

report = json.loads(subprocess.check_output(["nanort", "inspect", sys.argv[1], "--json"]))
entries = [e for e in report["entries"] if e["kind"] != "generate"]
saved = sum(e["eager"]["launches"] - e["plan"]["launches"] for e in entries)
merged = [int(n) for n in re.findall(r"(\d+) kern-fuse-\S+ +- Launches that went", open(sys.argv[2]).read())]
assert saved == sum(merged) and len(merged) == 5, (saved, merged)
