#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rooms.py adds up what gcovr found."""

import unittest

from rooms import count


class Rooms(unittest.TestCase):
    def test_lines_and_branches_are_added_up_by_room_and_assertions_left_out(self):
        lines = [
            {"line_number": 1, "count": 2, "branches": [{"count": 1}, {"count": 0}]},
            {"line_number": 2, "count": 0, "branches": []},
            {"line_number": 3, "count": 1, "branches": [{"count": 1}, {"count": 0}]},
            {"line_number": 4, "count": 0, "gcovr/noncode": True},
        ]
        named = (("src/core/pool.c", lines), ("src/core/rtt.c", lines[:1]), ("build/x.c", lines))
        files = [{"file": name, "lines": of_file} for name, of_file in named]
        texts = ["if (a)", "b();", "ASSERT(c);", "}"]
        found = count({"files": files}, lambda path, number: texts[number - 1])
        self.assertEqual({"core": [3, 4, 2, 4]}, dict(found))


if __name__ == "__main__":
    unittest.main()
