#!/usr/bin/env python3
"""tools/check_layers and tools/check_symbols on small trees made for them. The first argument may be the tools' folder."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"

CMAKE = """
gr_room(base  ROOMS            LIBS Threads::Threads m)
# gr_room(ghost ROOMS base LIBS)
gr_room(cal   ROOMS base       LIBS)
gr_room(data  ROOMS cal        LIBS)
gr_room(side  ROOMS base)
gr_room(top   ROOMS data side
        LIBS)
"""

CLEAN = {
    "src/base/str.h": "/* a */\n",
    "src/base/internal.h": "/* b */\n",
    "src/base/str.c": '#include "base/str.h"\n#include "base/internal.h"\n#include <stdio.h>\n',
    "src/top/top.c": '#include "top/top.h"\n# include "base/str.h"\n#include "cal/cal.h"\n#include "side/side.h"\n',
}


def run(tool, *arguments):
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Layers(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.root = Path(self.temporary.name)
        self.write({"CMakeLists.txt": CMAKE, **CLEAN})

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def expect(self, files, *findings):
        self.write(files)
        done = run("check_layers", "--root", self.root)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), len(findings), done.stdout + done.stderr)
        for line, finding in zip(lines, findings):
            self.assertIn(finding, line)
        self.assertEqual(done.returncode, 1 if findings else 0)

    def test_clean(self):
        self.expect({})

    def test_wrong_way(self):
        self.expect({"src/base/bad.c": '\n#include "data/x.h"\n'}, "src/base/bad.c:2: wrong way")

    def test_wrong_way_beside(self):
        self.expect({"src/side/bad.h": '#include "cal/x.h"\n'}, "src/side/bad.h:1: wrong way")

    def test_wrong_way_in_def(self):
        self.expect({"src/cal/bad.def": '#include "top/x.h"\n'}, "src/cal/bad.def:1: wrong way")

    def test_unknown_rooms(self):
        self.expect(
            {"src/base/bad.c": '#include "attic/x.h"\n', "src/ghost/g.c": "int g;\n", "src/lost.c": "int l;\n"},
            "src/base/bad.c:1: \"attic/x.h\": there is no room attic",
            "src/ghost/g.c:1: src/ghost is not a room",
            "src/lost.c:1: src/lost.c is not a room",
        )

    def test_odd_includes(self):
        self.expect(
            {"src/top/bad.c": '#include "x.h"\n#include "base/../top/x.h"\n#include "base/internal.h"\n'},
            ":1: \"x.h\" is not of the form",
            ":2: ",
            ":3: \"base/internal.h\" is for the room base only",
        )

    def test_includes_in_comments_are_none(self):
        self.expect({"src/base/ok.c": '// #include "top/x.h"\n/*\n#include "top/x.h"\n*/\n'})

    def test_rooms_declared_wrongly(self):
        more = CMAKE + "gr_room(late ROOMS later LIBS)\ngr_room(base ROOMS LIBS)\n"
        self.expect({"CMakeLists.txt": more}, "stands on later", "base is declared twice")

    def test_no_rooms(self):
        self.write({"CMakeLists.txt": "project(x)\n"})
        self.assertEqual(run("check_layers", "--root", self.root).returncode, 2)
        self.assertEqual(run("check_layers", "--root", self.root / "nowhere").returncode, 2)

    def test_banned(self):
        names = ["strcpy", "strcat", "sprintf", "strtok", "atoi", "gmtime", "localtime", "strerror"]
        body = "".join(f"    {name} (x);\n" for name in names)
        findings = [f"src/base/bad.c:{i + 2}: {name}()" for i, name in enumerate(names)]
        self.expect({"src/base/bad.c": "void f(void) {\n" + body + "}\n"}, *findings)

    def test_banned_looks_at_whole_words_of_code(self):
        self.expect(
            {
                "src/base/ok.c": "void f(void) {\n    strtok_r(a); gmtime_r(b); strerror_r(c); my_atoi(d); snprintf(e);\n"
                '    x = "atoi(\\"1\\") // "; /* strcpy(\n strcat( */ // sprintf(\n    v->atoi(1);\n}\n'
            }
        )

    def test_long_file(self):
        self.expect({"src/base/ok.c": "int a;\n" * 1000})
        self.expect({"tests/unit/bad.c": "int a;\n" * 1001}, "tests/unit/bad.c:1001: the file has 1001 lines")

    def test_long_function(self):
        def function(n, head="static int *f(int a,\n              int b) {"):
            return "int before[] = {1, 2};\n\n" + head + "\n" + "    a(b);\n" * (n - head.count("\n") - 2) + "}\n"

        self.expect({"src/base/f.c": function(100)})
        self.expect({"src/base/f.c": function(101)}, "src/base/f.c:3: f() has 101 lines")
        attributed = "__attribute__((format(printf, 1, 2))) void g(int a) {"
        self.expect({"src/base/f.c": function(101, attributed)}, "src/base/f.c:3: g() has 101 lines")

    def test_long_tables_and_types_are_no_functions(self):
        table = "static const int t[] = {\n" + "    F(1),\n" * 150 + "};\n"
        self.expect({"src/base/ok.c": table + "struct s {\n" + "    int (*f)(int);\n" * 150 + "};\n"})

    def test_conditionals_and_literals_do_not_unbalance(self):
        tricky = "#ifdef A\nvoid f(int a) {\n#else\nvoid f(void) {\n#endif\n    x('{', \"{\\\"{\"); /* { */\n}\n"
        macro = "#define M(x) \\\n    do { \\\n    x {\n"
        short = "void g(void) {\n    h();\n}\n"
        self.expect({"src/base/ok.c": tricky + macro + short * 50})

    def test_help(self):
        for tool in ("check_layers", "check_symbols"):
            done = run(tool, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn("Exit code", done.stdout)


class Symbols(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.build = Path(self.temporary.name)

    def archive(self, room, source):
        c, o = self.build / f"{room}.c", self.build / f"{room}.o"
        c.write_text(source, encoding="utf-8")
        subprocess.run([os.environ.get("CC", "cc"), "-c", str(c), "-o", str(o)], check=True)
        archive = self.build / "deep" / f"libgr_{room}.a"
        archive.parent.mkdir(exist_ok=True)
        subprocess.run([os.environ.get("AR", "ar"), "rcs", str(archive), str(o)], check=True)

    def expect(self, *findings):
        done = run("check_symbols", self.build)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), len(findings), done.stdout + done.stderr)
        for line, finding in zip(lines, findings):
            self.assertIn(finding, line)
        self.assertEqual(done.returncode, 1 if findings else 0)

    def test_own_names(self):
        hidden = "static int hidden; int *gr_mem_p = &hidden;"
        self.archive("base", "int gr_base_x; int gr_str_x(void) { return 1; }" + hidden)
        elsewhere = "extern int elsewhere; int *gr_plan_y = &elsewhere;"
        self.archive("plan", "int gr_plan_x; int gr_measure_components;" + elsewhere)
        self.archive("model", "int gr_measure_x;")
        self.expect()

    def test_foreign_names(self):
        self.archive("cal", "int gr_str_x; int gr_plan_x; int helper(void) { return 1; } int gr_other; int gr_tz;")
        self.expect(
            "libgr_cal.a: gr_other: is neither gr_cal_...",
            "gr_plan_x: has the noun gr_plan_ of the room plan",
            "gr_str_x: has the noun gr_str_ of the room base",
            "gr_tz: is neither",
            "helper: is neither",
        )

    def test_defined_twice(self):
        self.archive("cal", "int gr_tz_x;")
        self.archive("data", "int gr_tz_x;")
        self.expect("libgr_data.a: gr_tz_x: has the noun gr_tz_", "libgr_data.a: gr_tz_x: is defined in cal too")

    def test_unknown_room(self):
        self.archive("attic", "int gr_attic_x;")
        self.expect("libgr_attic.a: the room attic is not in the table")

    def test_cannot_work(self):
        self.assertEqual(run("check_symbols", self.build).returncode, 2)
        self.archive("cal", "int gr_tz_x;")
        self.assertEqual(run("check_symbols", self.build, "--nm", "/nowhere/nm").returncode, 2)
        (self.build / "libgr_bad.a").write_text("x")
        (self.build / "libgr_base.a").write_text("x")
        self.assertEqual(run("check_symbols", self.build).returncode, 2)


if __name__ == "__main__":
    if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir():
        TOOLS = Path(sys.argv.pop(1))
    unittest.main()
