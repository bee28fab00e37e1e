# REPORT REPORT: of one model, without and with fusion. The second's counts before fusion are the first's counts.
import json
import sys

unfused, fused = (json.load(open(path))["entries"] for path in sys.argv[1:])
pick = lambda counts: [counts[key] for key in ("launches", "bytes", "flops")]
byName = {entry["name"]: entry for entry in fused}
for entry in unfused:
    other = byName[entry["name"]]
    assert pick(entry["eager"]) == pick(entry["plan"]) == pick(other["eager"]), entry["name"]
    assert other["plan"]["launches"] < other["eager"]["launches"], entry["name"]
    assert sum(map(len, [other["nodes"]] + [loop["nodes"] for loop in other["loops"]])) <= other["plan"]["launches"]
