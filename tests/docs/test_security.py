#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/security.md keeps its word: each test that it names is there, and its odds are what its sums say."""

import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))

IDS, ALL_PORTS, GUESSES_A_SECOND, WRONG_GUESSES = 65536, 64512, 100000, 64


def named_tests(markdown):
    """(file, test) of each test that a table names: a file in backticks, then its tests in backticks; test None for the file alone."""
    for line in markdown.split("\n"):
        if not line.startswith("|"):
            continue
        file = None
        for token in re.findall(r"`([^`]+)`", line.split("|")[-2]):
            if token.startswith("tests/"):
                file = token
                yield file, None
            elif file and re.fullmatch(r"[a-z0-9_]+", token):
                yield file, token


def has_test(text, test):
    """A function of that name; in C it must also be listed to be run, so its name stands there twice."""
    if re.search(r"^\s*def %s\(" % test, text, re.M):
        return True
    return bool(re.search(r"^static void %s\(" % test, text, re.M)) and len(re.findall(r"\b%s\b" % test, text)) > 1


def odds(forger, ports, window_s, letters):
    guesses = GUESSES_A_SECOND * window_s
    if forger == "knows nothing":
        return guesses / ALL_PORTS / IDS / 2**letters
    spread = ports / 2 if forger == "knows the ports in use" else 1
    return min(guesses / spread, WRONG_GUESSES) / IDS / 2**letters


def written(odds_value):
    mantissa, exponent = f"{odds_value:.1e}".split("e")
    return f"{mantissa} × 10^{int(exponent)}"


class Security(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, "docs/security.md"), encoding="utf-8") as file:
            self.markdown = file.read()

    def test_tests_that_are_named_exist(self):
        missing, count = [], 0
        for file, test in named_tests(self.markdown):
            count += 1
            path = os.path.join(ROOT, file)
            if not os.path.exists(path):
                missing.append(file)
            elif test:
                with open(path, encoding="utf-8") as text:
                    if not has_test(text.read(), test):
                        missing.append(f"{file}: {test}")
        self.assertEqual([], missing)
        self.assertGreater(count, 60)

    def test_odds_are_those_of_the_sums(self):
        rows = re.findall(r"^\| (knows [a-z ]+) \| ([\d,]+|any) \| (10 ms|4 s) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", self.markdown, re.M)
        self.assertEqual(8, len(rows))
        for forger, ports, window, *shown in rows:
            ports = 0 if ports == "any" else int(ports.replace(",", ""))
            expected = [written(odds(forger, ports, 0.01 if window == "10 ms" else 4, letters)) for letters in (0, 10, 20)]
            self.assertEqual(expected, shown, f"{forger}, {ports}, {window}")

    def test_numbers_of_the_sums_are_those_of_the_code(self):
        for file, words in (
            ("src/net/transport_udp.c", f"GUESSES = {WRONG_GUESSES}"),
            ("src/net/udp_socket.c", "PORT_COUNT = 65536 - PORT_LOWEST"),
            ("src/net/udp_socket.c", f"PORT_LOWEST = {65536 - ALL_PORTS}"),
        ):
            with open(os.path.join(ROOT, file), encoding="utf-8") as text:
                self.assertIn(words, text.read(), file)

    def test_rules_find_what_is_missing(self):
        table = "| a | b | `tests/x/test_a.c`: `one_thing`, `other`; `tests/e2e/test_b.py`: `test_c` |\nno table `tests/d.c`: `e`"
        self.assertEqual(
            [("tests/x/test_a.c", None), ("tests/x/test_a.c", "one_thing"), ("tests/x/test_a.c", "other"), ("tests/e2e/test_b.py", None),
             ("tests/e2e/test_b.py", "test_c")],
            list(named_tests(table)),
        )
        self.assertTrue(has_test("static void runs(void **s)\n{ }\n cmocka_unit_test(runs),", "runs"))
        self.assertFalse(has_test("static void not_run(void **s)\n{ }\n", "not_run"))
        self.assertTrue(has_test("class A:\n    def test_x(self):\n", "test_x"))
        self.assertFalse(has_test("# test_x was here\n", "test_x"))


if __name__ == "__main__":
    unittest.main()
