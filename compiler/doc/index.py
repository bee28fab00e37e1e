#!/usr/bin/env python3
"""Gathers the reference pages in one folder, with an index: what mlir-tblgen made of the dialects' and passes' descriptions,
and what the tools say of themselves.

    compiler/doc/index.py -o FOLDER --dialects NAME.md ... --passes PASSES.md --tools PROGRAM ..."""
import argparse
import re
import subprocess
from pathlib import Path


def entries(page):
    """(title, anchor, one line of summary) of each operation or pass of a page of mlir-tblgen's."""
    found = re.findall(r"^### (`[^`\n]+`)(.*)$(?:\n+_(.+)_$)?", page, re.M)
    for name, rest, summary in found:
        anchor = re.sub(r"[^\w\- ]", "", (name + rest).lower()).replace(" ", "-")
        yield name, anchor, summary.replace("|", r"\|")


def table(page, file):
    return "\n".join(f"| [{name}]({file}#{anchor}) | {summary} |" for name, anchor, summary in entries(page))


def help_page(program):
    """A tool's help, with that of each of its commands. Throws where the tool does not print any."""
    def said(*words):
        return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout.rstrip()

    overview = said()
    commands = re.search(r"^Subcommands:\n((?:  .*\n)+)", overview, re.M)
    words = [[]] + [[line.split()[0]] for line in (commands.group(1).splitlines() if commands else [])]
    texts = [f"# {' '.join([program.name, *w])}\n\n```\n{said(*w)}\n```\n" for w in words]
    summary = next(line for line in overview.splitlines() if line and not re.match(r"(Usage|USAGE)\b| ", line))
    return "\n".join(texts), summary.removeprefix("OVERVIEW: ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", dest="out", type=Path, required=True)
    parser.add_argument("--dialects", type=Path, nargs="+", required=True)
    parser.add_argument("--passes", type=Path, required=True)
    parser.add_argument("--tools", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    index = ["# Reference", "", "Generated from the sources: edit the `.td` files and the tools' flags.", "", "## Tools", "", "| | |", "|---|---|"]
    for program in options.tools:
        text, summary = help_page(program)
        (options.out / f"{program.name}.md").write_text(text)
        index.append(f"| [`{program.name}`]({program.name}.md) | {summary} |")
    for source in options.dialects:
        page = source.read_text()
        (options.out / source.name).write_text(page)
        summary = re.search(r"^# '(\w+)' Dialect\n+_(.+)_$", page, re.M)
        index += ["", f"## [Dialect `{summary.group(1)}`]({source.name})", "", summary.group(2), "", "| operation | |", "|---|---|",
                  table(page, source.name)]
    page = options.passes.read_text()
    (options.out / options.passes.name).write_text(page)
    index += ["", f"## [Passes]({options.passes.name})", "", "| pass | |", "|---|---|", table(page, options.passes.name), ""]
    (options.out / "index.md").write_text("\n".join(index))


if __name__ == "__main__":
    main()
