#!/usr/bin/env python3
"""Checks rooms.toml against the #include lines of a tree and against README's table: rooms.py [ROOT].

Prints a line for each fault and exits with 1 if there is one."""
import os
import pathlib
import re
import sys
import tomllib

SOURCES = {".c", ".cpp", ".cu", ".cuh", ".def", ".h", ".hpp", ".td"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
TABLEGEN = re.compile(r'^[ \t]*include[ \t]*"([^"\n]+)"()', re.MULTILINE)


def under(path, folder):
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder + "/")


class Rooms:
    def __init__(self, table):
        self.rooms = table["room"]
        self.order = [room["path"] for room in self.rooms]
        self.exceptions = {(e["file"], e["include"]): e["why"] for e in table.get("exception", [])}
        self.generated = table.get("generated", {})
        self.c, self.posix = set(table.get("c", [])), set(table.get("posix", []))

    def of(self, path):
        """The index of the room that a path belongs to; None if there is none."""
        inside = [i for i, room in enumerate(self.order) if under(path, room)]
        return max(inside, key=lambda i: len(self.order[i]), default=None)

    def order_faults(self):
        """Rooms that are listed twice, and what they may include that is not above them."""
        for i, room in enumerate(self.rooms):
            if self.order.index(room["path"]) != i:
                yield f"rooms.toml: {room['path']} is listed twice"
            for allowed in room.get("may", []):
                other = self.of(allowed)
                if allowed != "*" and (other is None or other >= i):
                    yield f"rooms.toml: {room['path']} may include {allowed}, which is no room above it"

    def include_fault(self, file, header, quoted):
        """What is wrong with an include; None if nothing is."""
        room = self.rooms[self.of(file)]
        path = self.generated.get(header, header)
        if self.of(path) is None:
            if not quoted and "/" not in header and "." not in header:
                return None  # the standard library
            if header in self.c or (header in self.posix and room.get("posix", True)):
                return None
            if any(header.startswith(start) for start in room.get("outside", [])):
                return None
            return f"{file} includes {header}, which room {room['path']} has no use for"
        if self.of(path) == self.of(file):
            return None
        if any(allowed == "*" or under(path, allowed) for allowed in room.get("may", [])):
            return None
        return f"{file} includes {header}: room {room['path']} may not depend on {self.order[self.of(path)]}"

    def tree_faults(self, root):
        needed = set()
        for file in sources(root, {room.split("/")[0] for room in self.order}):
            if self.of(file) is None:
                yield f"{file} is in no room"
                continue
            includes = TABLEGEN if file.endswith(".td") else INCLUDE
            for quoted, angled in includes.findall((root / file).read_text(encoding="utf-8")):
                header = quoted or angled
                fault = self.include_fault(file, header, bool(quoted))
                if fault and (file, header) in self.exceptions:
                    needed.add((file, header))
                elif fault:
                    yield fault
        for file, header in self.exceptions.keys() - needed:
            yield f"rooms.toml: the exception of {file} for {header} is no longer needed"

    def readme_faults(self, readme):
        """README has a row for each folder at the top: what its rooms may include of other folders, in code spans."""
        rows = dict(re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", readme, re.MULTILINE))
        for folder in sorted({room.split("/")[0] for room in self.order} - {"examples"}):
            stated = {name.rstrip("/") for span in re.findall(r"`([^`]+)`", rows.get(folder, "")) for name in expand(span)}
            allowed = {a for room in self.rooms if under(room["path"], folder) for a in room.get("may", [])}
            allowed = {a for a in allowed if a != "*" and not under(a, folder)}
            if folder not in rows:
                yield f"README.md: its table has no row for {folder}/"
            elif stated != allowed:
                yield (f"README.md: {folder}/ may depend on {', '.join(sorted(stated)) or 'nothing'}, by rooms.toml on "
                       f"{', '.join(sorted(allowed)) or 'nothing'}")


def expand(span):
    """'runtime/{base,plan}' is two."""
    match = re.fullmatch(r"([^{]*)\{([^}]*)\}(.*)", span)
    return [match[1] + part + match[3] for part in match[2].split(",")] if match else [span]


def sources(root, folders):
    """Source files below the given folders and any other at the top but build trees and hidden ones."""
    for top in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        if top.name not in folders and (top.name.startswith((".", "build")) or (top / "CMakeCache.txt").exists()):
            continue
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if pathlib.Path(name).suffix in SOURCES:
                    yield (pathlib.Path(folder) / name).relative_to(root).as_posix()


def main():
    here = pathlib.Path(__file__).resolve().parent
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent.parent
    rooms = Rooms(tomllib.loads((here / "rooms.toml").read_text(encoding="utf-8")))
    faults = [*rooms.order_faults(), *rooms.tree_faults(root),
              *rooms.readme_faults((root / "README.md").read_text(encoding="utf-8"))]
    print("\n".join(sorted(faults)) or f"{len(rooms.order)} rooms, {len(rooms.exceptions)} exceptions")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
