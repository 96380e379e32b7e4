#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tests reach of each room, from gcovr's JSON: lines and branches, and whether that is what the house wishes.

    rooms.py coverage.json

Branches of assertions are left out: one that fails is a bug. Exit status 1 when a room is short."""

import collections
import json
import sys

# The rooms where everything is decided, and the share in percent.
WISHED = {room: (90, 80) for room in ("wire", "core", "config", "server")}


def share(part, whole):
    return 100 * part / whole if whole else 100.0


def count(coverage, read_line):
    """{room: [lines reached, lines, branches reached, branches]}; `read_line` gives a file's line, by number from 1."""
    rooms = collections.defaultdict(lambda: [0, 0, 0, 0])
    for file in coverage["files"]:
        parts = file["file"].split("/")
        if parts[0] != "src" or len(parts) != 3:
            continue
        sums = rooms[parts[1]]
        for line in file["lines"]:
            if line.get("gcovr/noncode"):
                continue
            sums[0] += line["count"] > 0
            sums[1] += 1
            if "ASSERT" in read_line(file["file"], line["line_number"]):
                continue
            sums[2] += sum(branch["count"] > 0 for branch in line.get("branches", []))
            sums[3] += len(line.get("branches", []))
    return rooms


def main():
    texts = {}

    def read_line(path, number):
        if path not in texts:
            with open(path, encoding="utf-8") as file:
                texts[path] = file.read().split("\n")
        return texts[path][number - 1]

    with open(sys.argv[1], encoding="utf-8") as file:
        rooms = count(json.load(file), read_line)
    short = []
    print(f"{'room':10} {'lines':>7} {'branches':>9}")
    for room, (lines_hit, lines, branches_hit, branches) in sorted(rooms.items()):
        found = (share(lines_hit, lines), share(branches_hit, branches))
        print(f"{room:10} {found[0]:6.1f}% {found[1]:8.1f}%")
        if any(is_ < wished for is_, wished in zip(found, WISHED.get(room, (0, 0)))):
            short.append(room)
    print("short of 90 % of lines and 80 % of branches: " + ", ".join(short) if short else "90 % of lines, 80 % of branches: reached")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
