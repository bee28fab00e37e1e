"""What NVIDIA's tools say of a plan: compute-sanitizer of its runs, cuobjdump of its machine code."""
import concurrent.futures
import os
import re
import shutil
from pathlib import Path

from harness import Skip


def race_by_design(race):
    """Whether racecheck is known to see a race where there is none. It does not follow barriers that count bytes: it warns of
    the one in attention_step by cluster that the announcement by a block's first thread and the counting by stores from its cluster
    both change, in either order by design. And it orders what a thread read by that thread's own arrival at a barrier: in
    attention_chunk by wgmma one lane arrives for its warp behind a __syncwarp(), which is no instruction where ptxas knows the warp
    to be together, so that the other lanes' reads of a stage's tile seem to be free of the producer's next write there."""
    accesses = set(re.findall(r"(Read|Write) access at (?:void |int )?(\w+)", race))
    return (any(name == "expectStores" for _, name in accesses) and not race.startswith("Error") or
            accesses == {("Read", "chunkWgmmaConsume"), ("Write", "chunkWgmmaProduce")})


def sanitizer(checks, kind, *command, **environment):
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(tool).exists():
        raise Skip("compute-sanitizer is not installed")
    text = checks.run(tool, "--tool", kind, checks.bundle / "bin/nanort", *command, **environment)
    summary = re.search(r"(?:ERROR|RACECHECK) SUMMARY:.*", text)
    if not summary:
        return False, "no summary"
    if kind != "racecheck":
        return "SUMMARY: 0 error" in summary.group(0), summary.group(0)
    races = re.findall(r"((?:Error|Warning): Race reported.*?)(?=(?:Error|Warning): Race reported|RACECHECK SUMMARY)", text, re.S)
    places = [frozenset(re.findall(r"access at (?:void |int )?(\w+)", race)) for race in races]
    passed = all(map(race_by_design, races)) and (bool(races) or " 0 hazards" in summary.group(0))
    return passed, summary.group(0) + "".join(f"; {' and '.join(sorted(p))}" for p in sorted(set(places), key=sorted))


def before_wait(sass):
    """Opcodes that some path of a kernel reaches before griddepcontrol.wait (ACQBULK), with their counts."""
    code = [(int(at, 16), body) for at, body in re.findall(r"^\s+/\*([0-9a-f]{4,})\*/\s+([^;\n]*);", sass, re.M)]
    index = {at: i for i, (at, _) in enumerate(code)}
    seen, paths = set(), [0]
    while paths:
        i = paths.pop()
        while i < len(code) and i not in seen:
            seen.add(i)
            body = code[i][1]
            if "ACQBULK" in body:
                break
            if target := re.search(r"\bBRA\S*\s+(?:\S+,\s*)?(0x[0-9a-f]+)", body):
                paths.append(index[int(target.group(1), 16)])
            if re.match(r"(BRA|EXIT|RET)\b", body) and not re.match(r"BRA\S*\s+U?P", body):
                break
            i += 1
    opcodes = [re.search(r"(?:@!?U?P\w+\s+)?(\S+)", code[i][1]).group(1) for i in seen]
    return {opcode: opcodes.count(opcode) for opcode in opcodes}


# What is examined, by the begin of a kernel's name and the engine in it: products and decode steps' attentions fetch weights
# and keys before they wait.
EXAMINED = (("product", "wgmma"), ("attention_chunk", "wgmma"), ("attention_step", "cluster"), ("product", "stream"))


def machine_code(checks, plans):
    """Every kernel by wgmma multiplies by HGMMA. Of a decode step's, each fetches by bulk copies before it
    waits for its producer (kernels_templates/cuda-rules.md, rule 4: the compiler sinks read-only loads below the wait), and stores
    nothing."""
    tool = shutil.which("cuobjdump") or f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin/cuobjdump"
    if not Path(tool).exists():
        raise Skip("cuobjdump is not installed")
    files, counts, faults = {}, {}, []
    for plan in plans:
        code = checks.bundle / "cubins" / f"{plan.parent.name}.{plan.stem}"
        checks.nanort("inspect", plan, "--program", "sm_90a", "--cubins", code)
        files.update({file.name: file for file in code.glob("*.cubin")})

    def examine(file):
        kernel = next(((m, e) for m, e in EXAMINED if re.match(rf"sm_90a\.{m}_(\w+_)?{e}_", file.name)), None)
        if not kernel:
            return None, []
        sass, found = checks.run(tool, "-sass", file), []
        if kernel[1] == "wgmma" and "HGMMA" not in sass:
            found.append(f"no HGMMA in {file.name}")
        early = before_wait(sass)
        if kernel[0] != "attention_chunk" and not any(op.startswith(("UBLKCP", "UTMALDG")) for op in early):
            found.append(f"{file.name} fetches nothing before its wait")
        if any(op.startswith(("STG", "ST.E", "RED", "ATOMG", "UTMAST", "UTMARED")) for op in early):
            found.append(f"{file.name} stores before its wait")
        return kernel, found

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for kernel, found in pool.map(examine, files.values()):
            counts[kernel] = counts.get(kernel, 0) + 1
            faults += found
    counts.pop(None, None)
    passed = not faults and all(counts.get(kernel) for kernel in EXAMINED)
    return passed, ", ".join(f"{n} {meaning} by {engine}" for (meaning, engine), n in sorted(counts.items())) + (
        "; " + "; ".join(faults) if faults else "; HGMMA in all for warpgroups, bulk copies and no stores before every wait")
