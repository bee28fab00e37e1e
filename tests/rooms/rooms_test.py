"""What rooms.py finds, in small trees."""
import pathlib
import tempfile
import unittest

from rooms import Rooms

TABLE = {
    "posix": ["unistd.h"],
    "generated": {"made.h": "base"},
    "room": [
        {"path": "base", "posix": False},
        {"path": "middle", "may": ["base/open"], "outside": ["lib/"]},
        {"path": "middle/part", "may": ["base"]},
        {"path": "top", "may": ["*"]},
    ],
}
README = "| `base/` | | nothing |\n| `middle/` | | `base/{open,}` |\n| `top/` | | all |\n"


class RoomsTest(unittest.TestCase):
    def faults(self, files, **changes):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            rooms = Rooms({**TABLE, **changes})
            return [*rooms.order_faults(), *rooms.tree_faults(root)]

    def test_includes_that_the_table_allows(self):
        self.assertEqual(self.faults({
            "base/a.h": "#include <vector>\n#include \"base/b.h\"\n",
            "middle/a.cpp": "#include \"base/open/a.h\"\n#include <unistd.h>\n#include \"lib/x.h\"\n",
            "middle/part/a.cpp": "#include \"base/a.h\"\n  # include <base/b.h>\n#include \"made.h\"\n",
            "top/a.cpp": "#include \"middle/part/a.h\"\n// #include <lib/x.h>\n",
            "build/a.cpp": "", "build/CMakeCache.txt": "",
        }), [])

    def test_includes_that_it_does_not(self):
        for file, line, fault in [
            ("base/a.h", '"middle/a.h"', "base/a.h includes middle/a.h: room base may not depend on middle"),
            ("base/a.h", "<unistd.h>", "base/a.h includes unistd.h, which room base has no use for"),
            ("base/a.h", '"b.h"', "base/a.h includes b.h, which room base has no use for"),
            ("middle/a.h", '"base/a.h"', "middle/a.h includes base/a.h: room middle may not depend on base"),
            ("middle/a.h", '"made.h"', "middle/a.h includes made.h: room middle may not depend on base"),
            ("middle/part/a.h", "<lib/x.h>", "middle/part/a.h includes lib/x.h, which room middle/part has no use for"),
        ]:
            self.assertEqual(self.faults({file: f"#include {line}\n"}), [fault])
        self.assertEqual(self.faults({"base/A.td": 'include "middle/B.td"\n'}),
                         ["base/A.td includes middle/B.td: room base may not depend on middle"])
        self.assertEqual(self.faults({"other/a.cpp": ""}), ["other/a.cpp is in no room"])

    def test_an_exception_is_for_one_include_and_must_be_needed(self):
        exception = [{"file": "base/a.h", "include": "middle/a.h", "why": "a reason"}]
        self.assertEqual(self.faults({"base/a.h": '#include "middle/a.h"\n'}, exception=exception), [])
        self.assertEqual(len(self.faults({"base/b.h": '#include "middle/a.h"\n'}, exception=exception)), 2)
        self.assertEqual(self.faults({"base/a.h": ""}, exception=exception),
                         ["rooms.toml: the exception of base/a.h for middle/a.h is no longer needed"])

    def test_rooms_that_depend_on_each_other(self):
        rooms = [{"path": "base", "may": ["top"]}, {"path": "top", "may": ["base"]}, {"path": "base"}]
        self.assertEqual(self.faults({}, room=rooms),
                         ["rooms.toml: base may include top, which is no room above it", "rooms.toml: base is listed twice"])

    def test_a_readme_that_says_otherwise(self):
        rooms = Rooms(TABLE)
        self.assertEqual(list(rooms.readme_faults(README.replace("{open,}", "open` or `base"))), [])
        self.assertEqual(list(rooms.readme_faults(README.replace("`base/{open,}`", "`base`"))),
                         ["README.md: middle/ may depend on base, by rooms.toml on base, base/open"])
        self.assertEqual(list(rooms.readme_faults(README.replace("| `top/`", "| `roof/`"))),
                         ["README.md: its table has no row for top/"])


if __name__ == "__main__":
    unittest.main()
