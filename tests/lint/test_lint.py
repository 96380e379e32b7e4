#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of the lint has a small bad tree that breaks it, and the good tree breaks none."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lint  # noqa: E402
from csource import Source  # noqa: E402

HEAD = "/* %s */\n" % lint.SPDX
HASH = "# %s\n" % lint.SPDX


def header(room, unit, *lines):
    guard = "%s_%s_H" % (room.upper(), unit.upper())
    return HEAD + "#ifndef %s\n#define %s\n" % (guard, guard) + "".join(line + "\n" for line in lines) + "#endif\n"


def good_tree():
    """Two units on two floors, with a table and a plug."""
    return {
        "include/base/bell.h": header("base", "bell", "void bell_ring(int times);"),
        "src/base/bell.c": HEAD + '#include "base/bell.h"\n\n#include <stdio.h>\n\nvoid bell_ring(int times)\n{\n\tputchar(times);\n}\n',
        "tests/base/test_bell.c": HEAD + '#include <cmocka.h>\n\n#include "base/bell.h"\n\nint main(void)\n{\n\treturn 0;\n}\n',
        "tests/base/tests.cmake": HASH + "r53fwd_test(base bell)\n",
        "include/core/policy.h": header("core", "policy", '#include "base/bell.h"', "struct policy {", "\tint (*pick)(void);", "};"),
        "src/core/policy_first.c": HEAD
        + '#include "core/policy.h"\n\nstatic int pick(void)\n{\n\treturn 0;\n}\n\nconst struct policy policy_first = {.pick = pick};\n',
        "tests/core/test_policy_contract.c": HEAD + "int main(void)\n{\n\treturn 0;\n}\n",
        "tests/core/tests.cmake": HASH + "r53fwd_test(core policy_contract)\n",
        "src/CMakeLists.txt": HASH + "r53fwd_room(base UNITS bell)\nr53fwd_room(core UNITS policy_first)\n",
        "include/tables/policies.def": HEAD + 'POLICY(FIRST, "first", first, "always the first")\n',
        "docs/failover.md": "`first` takes the first.\n",
    }


def breaches(changes):
    """Lints the good tree with `changes` (path: text, None removes, a function edits); returns [(rule, path, sentence)]."""
    tree = good_tree()
    for path, change in changes.items():
        if callable(change):
            tree[path] = change(tree[path])
        elif change is None:
            del tree[path]
        else:
            tree[path] = change
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        return [(rule, path, sentence) for path, _, rule, sentence in lint.lint(root).breaches]


def adding(text):
    return lambda old: old + text


def replacing(old_text, new_text):
    def edit(old):
        assert old_text in old, old_text
        return old.replace(old_text, new_text)

    return edit


class Rules(unittest.TestCase):
    def breaks(self, rule, changes, word=""):
        """Exactly this rule is broken, by a sentence that holds `word`."""
        found = breaches(changes)
        self.assertTrue(found, "nothing was found")
        self.assertEqual({rule}, {r for r, _, _ in found}, found)
        self.assertTrue(any(word in sentence for _, _, sentence in found), found)

    def test_good_tree_breaks_no_rule(self):
        self.assertEqual([], breaches({}))

    # (a) rooms
    def test_lower_room_does_not_look_up(self):
        self.breaks("room", {"src/base/bell.c": adding('#include "core/policy.h"\n')}, "may not look up")

    def test_siblings_do_not_see_each_other(self):
        changes = {
            "include/net/loop.h": header("net", "loop"),
            "src/core/policy_first.c": adding('#include "net/loop.h"\n'),
        }
        self.breaks("room", changes, "core does not see")

    def test_net_sees_frames_but_no_answers(self):
        changes = {
            "include/wire/frame.h": header("wire", "frame"),
            "include/net/tcp.h": header("net", "tcp", '#include "wire/frame.h"'),
        }
        self.assertEqual([], breaches(changes))
        changes["include/wire/answer.h"] = header("wire", "answer")
        changes["include/net/tcp.h"] = header("net", "tcp", '#include "wire/answer.h"')
        self.breaks("room", changes, "net does not see")

    def test_tests_of_a_room_do_not_look_up_either(self):
        self.breaks("room", {"tests/base/test_bell.c": adding('#include "core/policy.h"\n')}, "may not look up")

    def test_header_is_written_with_its_room(self):
        self.breaks("room", {"src/base/bell.c": replacing('"base/bell.h"', '"bell.h"')}, "without its room")

    def test_header_that_is_not_there_is_reported(self):
        self.breaks("room", {"src/base/bell.c": adding('#include "base/gong.h"\n')}, "there is no include/base/gong.h")

    def test_file_outside_the_rooms_is_reported(self):
        self.breaks("room", {"src/attic/box.c": HEAD}, "in no room")

    def test_header_in_src_is_reported(self):
        self.breaks("room", {"src/base/bell.h": HEAD}, "include/<room>")

    def test_private_header_is_for_its_own_room(self):
        changes = {
            "include/base/bell_private.h": header("base", "bell_private"),
            "src/core/policy_first.c": adding('#include "base/bell_private.h"\n'),
        }
        self.breaks("private", changes, "for base alone")

    def test_include_in_a_comment_is_no_include(self):
        self.assertEqual([], breaches({"src/base/bell.c": adding('/*\n#include "core/policy.h"\n*/\n')}))

    def test_header_beside_the_test_may_be_included(self):
        changes = {"tests/base/sample.h": HEAD, "tests/base/test_bell.c": adding('#include "sample.h"\n')}
        self.assertEqual([], breaches(changes))

    # (b) cycles
    def test_headers_that_include_each_other_are_refused(self):
        changes = {
            "include/base/a.h": header("base", "a", '#include "base/b.h"'),
            "include/base/b.h": header("base", "b", '#include "base/c.h"'),
            "include/base/c.h": header("base", "c", '#include "base/a.h"'),
        }
        self.breaks("cycle", changes, "base/a.h, base/b.h, base/c.h")

    def test_header_that_includes_itself_is_refused(self):
        self.breaks("cycle", {"include/base/a.h": header("base", "a", '#include "base/a.h"')}, "base/a.h")

    # (c) foreign headers
    def test_libuv_stays_in_net(self):
        self.breaks("foreign", {"src/base/bell.c": adding("#include <uv.h>\n")}, "stays in src/net/*.c")

    def test_no_header_shows_a_library(self):
        self.breaks("foreign", {"include/base/bell.h": replacing("void", "#include <ldns/ldns.h>\nvoid")}, "shows ldns")

    def test_unknown_library_is_reported(self):
        self.breaks("foreign", {"src/base/bell.c": adding("#include <glib.h>\n")}, "no library that we use")

    # (d) names
    def test_exported_function_begins_with_its_unit(self):
        self.breaks("name", {"src/base/bell.c": adding("\nint chime(void)\n{\n\treturn 1;\n}\n")}, "chime is exported")

    def test_exported_object_begins_with_its_unit(self):
        self.breaks("name", {"src/base/bell.c": adding("\nconst int tones[] = {1, 2};\n")}, "tones is exported")

    def test_static_names_are_free(self):
        self.assertEqual([], breaches({"src/base/bell.c": adding("\nstatic int chime(void)\n{\n\treturn 1;\n}\n")}))

    def test_guard_is_named_after_room_and_unit(self):
        self.breaks("name", {"include/base/bell.h": lambda old: old.replace("BASE_BELL_H", "BELL_H")}, "BASE_BELL_H")

    def test_struct_is_not_hidden_behind_a_typedef(self):
        self.breaks("name", {"include/base/bell.h": replacing("void", "typedef struct bell bell_t;\nvoid")}, "typedef")

    # (e) words
    def test_synonym_is_refused_in_any_spelling(self):
        for name in ("backend", "send_requests", "nodeCount", "PEER_MAX"):
            with self.subTest(name):
                self.breaks("word", {"src/base/bell.c": adding("\nstatic int %s;\n" % name)}, name)

    def test_synonym_in_a_comment_or_a_foreign_name_passes(self):
        text = "\n/* a peer */\nstatic int uv_context_x;\nstatic const char *text = \"the target\";\n"
        self.assertEqual([], breaches({"src/base/bell.c": adding(text)}))

    # (f) units
    def test_unit_without_a_header_is_reported(self):
        changes = {"include/base/bell.h": None, "src/base/bell.c": HEAD, "tests/base/test_bell.c": HEAD}
        changes["include/core/policy.h"] = header("core", "policy")
        self.breaks("unit", changes, "there is no include/base/bell.h")

    def test_unit_without_a_test_is_reported(self):
        self.breaks("unit", {"tests/base/test_bell.c": None}, "there is no tests/base/test_bell.c")

    def test_unit_that_is_not_built_is_reported(self):
        self.breaks("unit", {"src/CMakeLists.txt": replacing("UNITS bell", "UNITS")}, "does not build it")

    def test_private_header_and_test_of_an_aspect_will_do(self):
        changes = {
            "include/base/gong_private.h": header("base", "gong_private"),
            "src/base/gong.c": HEAD + "void gong_beat(void)\n{\n}\n",
            "tests/base/test_gong_loudness.c": HEAD,
            "tests/base/tests.cmake": adding("r53fwd_test(base gong_loudness)\n"),
            "src/CMakeLists.txt": adding("# gong\n"),
        }
        self.assertEqual([], breaches(changes))

    def test_command_is_a_row_a_file_and_a_section(self):
        row = 'COMMAND("tell", tell, "", "tells all")\n'
        changes = {"include/tables/commands.def": HEAD + row, "docs/man/r53fwd.8": '.\\" %s\n.It Cm tell\n' % lint.SPDX}
        self.breaks("table", changes, "there is no src/cli/cmd_tell.c")
        changes["src/cli/cmd_tell.c"] = HEAD + "int cmd_tell(void)\n{\n\treturn 0;\n}\n"
        changes["src/CMakeLists.txt"] = adding("# cmd_tell\n")
        changes["tests/cli/test_cmd_tell.c"] = HEAD
        changes["tests/cli/tests.cmake"] = HASH + "r53fwd_test(cli cmd_tell)\n"
        self.assertEqual([], breaches(changes))

    def test_test_that_nobody_runs_is_reported(self):
        self.breaks("unit", {"tests/base/tests.cmake": HASH}, "does not run it")

    # (g) measures and looks
    def test_long_file_is_reported(self):
        self.breaks("long", {"src/base/bell.c": adding("\n" * 600)}, "a file has 600")

    def test_long_function_is_reported(self):
        self.breaks("long", {"src/base/bell.c": adding("\nstatic void chime(void)\n{\n%s}\n" % ("\t;\n" * 100))}, "103 lines")

    def test_function_with_many_parameters_is_reported(self):
        many = "\nstatic void chime(int a, int b, void (*c)(int, int), int d, int e, int f, int g)\n{\n}\n"
        self.breaks("long", {"src/base/bell.c": adding(many)}, "7 parameters")

    def test_condition_in_a_body_is_reported(self):
        body = "\nstatic void chime(void)\n{\n#ifdef __linux__\n\tputchar(1);\n#endif\n}\n"
        self.breaks("ifdef", {"src/base/bell.c": adding(body)}, "platforms")

    def test_missing_licence_line_is_reported(self):
        self.breaks("spdx", {"src/base/bell.c": lambda old: old[len(HEAD) :]})
        self.breaks("spdx", {"tests/run": "#!/bin/sh\ntrue\n"})

    def test_white_space_at_the_end_is_reported(self):
        self.breaks("space", {"docs/failover.md": adding("a \n")}, "end of the line")
        self.breaks("space", {"docs/failover.md": adding("a")}, "no line break")

    def test_wide_line_is_reported_with_tabs_at_their_width(self):
        self.breaks("wide", {"src/base/bell.c": adding("\t" * 17 + "/* %s */\n" % ("x" * 60))}, "202 columns")

    def test_debt_is_reported(self):
        self.breaks("debt", {"src/base/bell.c": adding("/* TO" + "DO: later */\n")}, "do it now")

    # (h) banned functions
    def test_banned_function_is_reported(self):
        for call in ("strcpy(a, b)", "sprintf (a, b)", 'system("ls")', "alloca(9)"):
            with self.subTest(call):
                self.breaks("banned", {"src/base/bell.c": replacing("putchar(times)", call)})

    def test_sleep_is_banned_in_tests_only(self):
        self.breaks("banned", {"tests/base/test_bell.c": replacing("return 0;", "return usleep(9);")}, "await")
        self.assertEqual([], breaches({"src/base/bell.c": replacing("putchar(times)", "usleep(9)")}))

    # (i) hygiene
    def test_large_binary_is_reported(self):
        self.breaks("binary", {"docs/movie.bin": b"\0" * 110000}, "107 KB")
        self.assertEqual([], breaches({"tests/fuzz/corpus/one": b"\0" * 5000}))

    # (j) tables
    def test_row_without_help_is_reported(self):
        self.breaks("table", {"include/tables/policies.def": replacing('"always the first"', '""')}, "says nothing")

    def test_row_that_stands_twice_is_reported(self):
        row = 'POLICY(FIRST, "first", first, "again")\n'
        self.breaks("table", {"include/tables/policies.def": adding(row)}, "twice")

    def test_row_may_go_on_in_lines_that_begin_with_a_tab(self):
        row = 'POLICY(FIRST, "first", first,\n\t"a"\n\t" b")\n'
        self.breaks("table", {"include/tables/policies.def": adding(row)}, "twice")
        self.breaks("table", {"include/tables/policies.def": adding('POLICY(FIRST, "last", first,\n\t"")\n')}, "says nothing")

    def test_row_without_its_file_is_reported(self):
        row = 'POLICY(LAST, "last", last, "the last")\n'
        changes = {"include/tables/policies.def": adding(row), "docs/failover.md": adding("`last`\n")}
        self.breaks("table", changes, "there is no src/core/policy_last.c")

    def test_row_that_its_page_does_not_mention_is_reported(self):
        self.breaks("table", {"docs/failover.md": "Nothing.\n"}, "docs/failover.md does not mention first")

    def test_metrics_of_one_family_stand_together(self):
        rows = 'METRIC(A, "a_total", "x=\\"1\\"", "A.")\nMETRIC(B, "b_total", "", "B.")\nMETRIC(C, "a_total", "x=\\"2\\"", "")\n'
        self.breaks("table", {"include/tables/metrics.def": HEAD + rows}, "do not stand together")

    def test_service_that_warns_says_why(self):
        self.breaks("table", {"include/tables/services.def": HEAD + 'SERVICE("s3", "s3.{r}.{s}", WARN, "")\n'}, "say why")

    # the lint's own tables
    def test_exception_that_nobody_needs_is_reported(self):
        changes = {
            "include/core/pool.h": header("core", "pool"),
            "src/core/pool.c": HEAD + "void pool_open(void)\n{\n}\n",
            "tests/core/test_pool.c": HEAD,
            "tests/core/tests.cmake": adding("r53fwd_test(core pool)\n"),
            "src/CMakeLists.txt": adding("# pool\n"),
        }
        self.breaks("exception", changes, "need not")


class Scanner(unittest.TestCase):
    def test_functions_are_found_with_their_measures(self):
        source = Source(
            "/* int no(void) { */\n#define FAKE(x) \\\n\tint x(void) { }\n"
            "static const char *\nname_of(int a, char *(*b)(void), ...)\n{\n\tif (a) {\n\t}\n\treturn \"}{\";\n}\n"
            "struct thing { int (*f)(void); } __attribute__((packed));\n"
            "int table[] = {1, 2}, plain;\nvoid one(void) { }\n"
        )
        found = [(f.name, f.static, f.first, f.last, f.parameters) for f in source.functions]
        self.assertEqual([("name_of", True, 4, 10, 3), ("one", False, 13, 13, 0)], found)
        self.assertEqual([(12, "table")], source.objects)

    def test_attribute_before_a_function_is_not_its_name(self):
        source = Source("__attribute__((noreturn)) void base_fail(int line)\n{\n}\nint tail(void) __attribute__((pure));\n")
        self.assertEqual(["base_fail"], [f.name for f in source.functions])

    def test_report_names_the_measures(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(3, len(lint.report(lint.lint(root))))


if __name__ == "__main__":
    unittest.main()
