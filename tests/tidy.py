#!/usr/bin/env python3
"""clang-tidy (.clang-tidy) over everything that is built on the host.

    tests/tidy.py [--build build/ci] [--all] [--fix] [PATH...]

A source is looked at again only if it, a header of the project that it includes, its command or .clang-tidy has changed: what
passed leaves a stamp in BUILD/tidy. --all forgets those. --fix makes the changes that clang-tidy proposes, all at once, so that a
constant in a header gets its new name everywhere; format and build afterwards. PATH: sources or folders (all). Needs a finished build, whose record
of dependences says which headers belong to a source. Exits 1 with what was found.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--build", type=pathlib.Path, default=root / "build/ci")
arguments.add_argument("--all", action="store_true")
arguments.add_argument("--fix", action="store_true")
arguments.add_argument("paths", nargs="*", type=pathlib.Path)
given = arguments.parse_args()
build, stamps = given.build.resolve(), given.build.resolve() / "tidy"
tool = shutil.which("clang-tidy-22")
if not tool:
    sys.exit("tidy: no clang-tidy-22; ./setup.sh installs it")


def sources():
    """The project's sources with their commands, each once."""
    wanted = [path.resolve() for path in given.paths] or [root]
    found, commands = {}, json.loads((build / "compile_commands.json").read_text())
    for entry in commands:
        entry["command"] = re.sub(r" -f(no-)?extern-tls-init\b", "", entry["command"])  # GCC's alone
        file = pathlib.Path(entry["file"])
        if file.suffix == ".cpp" and not file.is_relative_to(build) and any(file.is_relative_to(w) for w in wanted):
            found.setdefault(file, entry["command"])
    (stamps / "compile_commands.json").write_text(json.dumps(commands))
    return found


def dependences():
    """The project's files that each object was made of, by its source; from ninja's log."""
    text = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    by_source = {}
    for block in text.split("\n\n"):
        files = [(build / line.strip()).resolve() for line in block.splitlines()[1:]]
        mine = [f for f in files if f.is_relative_to(root) and f.suffix not in (".gch", ".inc")]
        if mine:
            by_source.setdefault(mine[0], mine)
    return by_source


contents = {}


def digest(file):
    if file not in contents:
        contents[file] = hashlib.sha256(file.read_bytes()).digest() if file.exists() else b""
    return contents[file]


def check(source, command, files):
    """What clang-tidy says; None if a stamp says that it has nothing to say."""
    state = hashlib.sha256(command.encode() + digest(pathlib.Path(tool).resolve()))
    for file in sorted({root / ".clang-tidy", source, *files}):
        state.update(digest(file))
    stamp = stamps / state.hexdigest()
    if stamp.exists():
        return None
    export = [f"--export-fixes={stamp}.yaml"] if given.fix else []
    run = subprocess.run([tool, "-p", stamps, "--quiet", *export, source], capture_output=True, text=True)
    if run.returncode == 0:
        stamp.touch()
    return run.stdout if run.returncode else ""


def k_names():
    """Constants are camelBack, which kName is too as far as clang-tidy sees."""
    listed = subprocess.check_output(["git", "-C", root, "ls-files", "*.cpp", "*.h", "*.c", "*.cuh"], text=True)
    for name in listed.split():
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            if found := re.search(r"\b(?:constexpr|const|static)\b[^=(;]*\b(k[A-Z]\w*)\b *[={\[(]", line):
                yield f"{root / name}:{number}: constant '{found[1]}' is written without the k"


def fix():
    """Applies every proposed replacement once, whichever sources proposed it."""
    by_file = {}
    one = re.compile(r"- FilePath: +'(.*)'\n +Offset: +(\d+)\n +Length: +(\d+)\n +ReplacementText: +(.*)\n")
    for exported in stamps.glob("*.yaml"):
        for file, offset, length, text in one.findall(exported.read_text()):
            text = json.loads(text) if text.startswith('"') else text.strip("'").replace("''", "'")
            by_file.setdefault(pathlib.Path(file).resolve(), set()).add((int(offset), int(length), text))
        exported.unlink()
    for file, changes in by_file.items():
        if not file.is_relative_to(root) or file.is_relative_to(build):
            continue
        data, end = file.read_bytes(), None
        for offset, length, text in sorted(changes, reverse=True):
            if end is None or offset + length <= end:  # of two that overlap, one
                data, end = data[:offset] + text.encode() + data[offset + length :], offset
        file.write_bytes(data)


start = time.monotonic()
if given.all:
    shutil.rmtree(stamps, ignore_errors=True)
stamps.mkdir(parents=True, exist_ok=True)
deps, todo, looked, messages = dependences(), sources(), 0, list(k_names())
with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    for said in pool.map(lambda item: check(*item, deps.get(item[0], [])), todo.items()):
        looked += said is not None
        # A header's fault is found by all who include it.
        messages += [m for m in re.split(r"\n(?=/)", said or "") if m.strip() and m not in messages]
if given.fix:
    fix()
for message in messages:
    print(message.replace(f"{root}/", ""))
print(f"tidy: {len(todo)} sources, {looked} looked at, {len(messages)} faults, {time.monotonic() - start:.0f} s")
sys.exit(1 if messages else 0)
