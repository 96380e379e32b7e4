#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the house: what docs/architecture.md and CONTRIBUTING.md promise of the code, said as rules that a program checks.

    lint.py [--root DIR] [--report]

Prints `FILE:LINE: rule: sentence` for each breach and exits with 1 if there was one. --report adds the measures that have
no hard limit. What may deviate stands in the tables below, each row with its reason; a row that nothing needs is a breach too.
"""

import argparse
import fnmatch
import os
import re
import sys

from csource import Source
from graph import circles

# ---- The rooms: rank, and what each may see besides itself. "wire/frame" names one unit of a room.
RANKS = {
    "tables": 0, "base": 0,
    "wire": 1, "obs": 1, "sys": 1,
    "core": 2, "net": 2, "config": 2,
    "server": 3,
    "cli": 4, "sim": 4, "http": 4,
}  # fmt: skip
SEES = {
    "tables": [],
    "base": ["tables"],
    "wire": ["base", "tables"],
    "obs": ["base", "tables"],
    "sys": ["base", "tables"],
    "core": ["wire", "base", "tables"],
    "net": ["wire/frame", "wire/question", "wire/dns", "base", "tables"],
    "config": ["wire", "base", "tables"],
    "server": ["core", "net", "config", "wire", "obs", "sys", "base", "tables"],
    "cli": ["server", "core", "net", "config", "wire", "obs", "sys", "base", "tables"],
    "sim": ["wire", "base", "tables"],  # not net: what tests net must not stand on it
    "http": ["net", "wire", "obs", "sys", "base", "tables"],
}
# A room's tests see what the room sees, of those rooms every unit. tests/sim also drives the server on a virtual clock.
TESTS_SEE_ALL = {"sim"}

# ---- Foreign headers stay at their address: pattern of the header, where it may be included, whose it is.
FOREIGN = [
    ("uv.h", ["src/net/*.c", "tests/lib/faults.c"], "libuv"),
    ("yaml.h", ["src/config/yaml.c"], "libyaml"),
    ("ldns/*", ["src/wire/text.c", "src/sim/zone.c", "tests/*"], "ldns"),
    (
        "jansson.h",
        ["src/server/%s.c" % unit for unit in ("command", "jsontext", "status", "explain", "exposition", "ready")]
        + ["src/cli/*.c", "src/http/*.c", "tests/*"],
        "jansson",
    ),
    ("microhttpd.h", ["src/http/door.c"], "libmicrohttpd"),
    ("seccomp.h", ["src/sys/sandbox.c"], "libseccomp"),
    ("cmocka.h", ["tests/*"], "cmocka"),
]
# What a C library on Linux brings; anything else in angle brackets must stand above.
LIBC = set(
    """assert ctype dirent errno fcntl fenv float ftw getopt glob grp ifaddrs inttypes iso646 langinfo limits locale malloc math netdb paths
    poll pthread pwd sched setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings
    sysexits syslog termios threads time uchar unistd wchar wctype""".split()
)
LIBC_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/", "net/", "asm/")

# ---- Units: file → nouns that its exports may begin with besides its own name, and why.
NOUNS = {
    "src/base/addr.c": (["cidr"], "an address and a network are one notion, and small"),
    "src/core/pool.c": (["upstream"], "an upstream lives in a pool only"),
    "src/server/forward.c": (["lease"], "a lease is forward's own hold on a snapshot"),
    "src/net/udp_socket.c": (["udp_thread"], "what the sockets of a thread share, buffers above all"),
    "src/config/option.c": (["config_options"], "the rows are config's; option.c is their reader"),
    "src/net/listen.c": (["listener"], "what listen.h opens is a listener"),
}
# One unit written in several files: part → the unit whose headers and tests it has.
PARTS = {
    "src/server/flight.c": ("forward", "questions travelling upstream; declared in forward_private.h"),
    "src/server/attempt.c": ("forward", "tries of a flight; declared in forward_private.h"),
    "src/server/outcome.c": ("forward", "what comes of tries; declared in forward_private.h"),
    "src/server/landing.c": ("forward", "replies to those who wait; declared in forward_private.h"),
    "src/server/querylog.c": ("forward", "lines about queries; declared in forward_private.h"),
    "src/server/special.c": ("forward", "names answered here; declared in forward_private.h"),
    "src/server/probe.c": ("prober", "one address asked for its health; declared in prober_private.h"),
    "src/net/listen_limits.c": ("listen", "how many TCP clients there may be; listen.h and listen_private.h promise it"),
    "src/net/listen_udp.c": ("listen", "one kind of listener; listen.h promises for both"),
    "src/net/listen_tcp.c": ("listen", "one kind of listener; listen.h promises for both"),
    "src/sys/sandbox_holes_none.c": ("sandbox", "what a kind of build needs; declared in sandbox_private.h"),
    "src/sys/sandbox_holes_sanitizer.c": ("sandbox", "what a kind of build needs; declared in sandbox_private.h"),
    "src/sys/sandbox_holes_coverage.c": ("sandbox", "what a kind of build needs; declared in sandbox_private.h"),
    "src/config/print.c": ("config", "what the rows say, printed; declared in config.h"),
    "src/config/print_man.c": ("config", "what the rows say, printed; declared in config.h"),
    "src/config/print_schema.c": ("config", "what the rows say, printed; declared in config.h"),
}
# Rows of a table: `src/<room>/<noun>_<unit>.c` exports the one thing that a common header declares from the table.
PLUGS = {
    "tables/policies.def": ("core", "policy"),
    "tables/transports.def": ("net", "transport"),
    "tables/commands.def": ("cli", "cmd"),
}
# Files without a test of their own: what examines them instead.
UNTESTED = {
    "src/cli/main.c": "the e2e suite runs the whole program",
    "src/sim/main.c": "the e2e suite runs the whole program",
    "src/http/main.c": "the e2e suite runs the whole program",
    "src/net/udp_socket.c": "the UDP transport's tests drive all of it",
    "src/server/server.c": "threads, signals and reload: the e2e suite runs the whole program",
    "src/server/succession.c": "says what takeover and handover, which have their tests, mean for five other units; the e2e suite runs it",
    "src/server/upkeep.c": "brings four units and a timer together: each has its test, the e2e suite runs them",
    "src/server/worker.c": "threads and messages: the e2e suite runs the whole program",
}
# Who may look into a room's private header from outside, and why.
GUESTS = {
    ("tests/lib/chaos.c", "server/forward_private.h"): "asserts what no door shows: how many attempts a question has out",
}
# Functions whose parameters a library has chosen.
CALLED = {("src/http/door.c", "on_visit"): "MHD_AccessHandlerCallback has eight"}
# A main has no promise to make.
HEADERLESS = {"src/cli/main.c", "src/sim/main.c", "src/http/main.c"}

# ---- Words that house-mates do not use: another word stands for the thing (docs/architecture.md).
SYNONYMS = "backend target peer node request transaction context manager helper util".split()
SYNONYMS_ALLOWED = {
    ("*/route.c", "node"): "the nodes of a tree of labels, nothing that answers DNS",
    ("src/sim/zone.c", "node"): "RFC 1034's word for a name in the tree of a zone",
    ("*/wire/*answer*.c", "target"): "RFC 1034's and RFC 6672's word for what a CNAME or DNAME points to",
    ("src/config/yaml.c", "context"): "libyaml's own names of members",
}
FOREIGN_NAMES = re.compile(r"(?:uv|UV|ldns|LDNS|yaml|YAML|json|JSON|MHD|SCMP|seccomp|EVP)_|__|RTM_|NLM_")

# ---- Measures. A test file is a list, read one entry at a time: it may be longer.
FILE_LINES = {"src": 600, "include": 600, "tests": 800}
FUNCTION_LINES, PARAMETERS, LINE_COLUMNS = 100, 6, 140
WISHED_P95, WISHED_PARAMETERS, WISHED_SEEN = 60, 5, 400
BINARY_BYTES = 100 * 1024

BANNED = {
    "strcpy": "use strbuf or memcpy with a known length",
    "strcat": "use strbuf",
    "sprintf": "use snprintf or strbuf",
    "vsprintf": "use vsnprintf or strbuf",
    "gets": "use fgets",
    "strtok": "it keeps hidden state",
    "strncpy": "it may leave out the zero",
    "tmpnam": "use mkstemp",
    "mktemp": "use mkstemp",
    "system": "a shell is nobody's friend: fork and exec",
    "alloca": "the stack is bounded by nobody",
}
BANNED_IN_TESTS = {"sleep": "await the event", "usleep": "await the event", "nanosleep": "await the event"}

# ---- Where the rows of a table must be found by a reader, once that page exists.
DOCUMENTED = {
    "options.def": ["docs/man/zones.conf.5"],
    "policies.def": ["docs/man/zones.conf.5", "docs/failover.md"],
    "transports.def": ["docs/man/zones.conf.5", "docs/failover.md"],
    "commands.def": ["docs/man/r53fwd.8"],
    "findings.def": ["docs/man/r53fwd.8", "docs/troubleshooting.md"],
}

SKIPPED = re.compile(r"^(?:\.git|build.*|\.cache|__pycache__|\.venv|dist|out)$")
SPDX = "SPDX-License-Identifier: Apache-2.0"
SPDX_SUFFIXES = (".c", ".h", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt", ".1", ".5", ".8")
DEBT = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|H[A]CK)\b")
GENERATED = re.compile(r"^(?:tests/fuzz/corpus/|LICENSE$)")


class House:
    """One tree and what was found wrong with it."""

    def __init__(self, root):
        self.root = root
        self.breaches, self.notes, self.used = [], [], set()
        self.texts, self.sources = {}, {}
        for path in tree_files(root):
            self._read(path)

    def _read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            data = f.read()
        if b"\0" in data[:8192]:
            if len(data) > BINARY_BYTES:
                self.breach(path, 1, "binary", "a binary file of %d KB has no place in the history" % (len(data) // 1024))
            return
        self.texts[path] = data.decode("utf-8", "replace")
        if path.endswith((".c", ".h")) and path.startswith(("src/", "include/", "tests/")):
            self.sources[path] = Source(self.texts[path])

    def breach(self, path, line, rule, sentence):
        self.breaches.append((path, line, rule, sentence))

    def excused(self, table, key):
        """A row of a table of exceptions was needed."""
        self.used.add((table, key))
        return True

    def has(self, path):
        return path in self.texts


def tree_files(root):
    """All files of the tree but what a build leaves behind, as paths with `/`, sorted."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [d for d in folders if not SKIPPED.match(d)]
        # In a linked work tree .git is a file.
        found += [os.path.relpath(os.path.join(folder, f), root) for f in files if f != ".git" and not f.endswith((".o", ".pyc"))]
    return sorted(p.replace(os.sep, "/") for p in found if os.path.isfile(os.path.join(root, p)))


def room_of(path):
    """`include/core/pool.h` lives in core; a test lives in the room that it examines; others in none."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[1] in RANKS else None


def unit_of(path):
    return os.path.splitext(os.path.basename(path))[0]


# ---- (a) rooms, (c) foreign headers


def check_rooms(h):
    for path, source in h.sources.items():
        top = path.split("/")[0]
        if top in ("src", "include") and room_of(path) is None:
            h.breach(path, 1, "room", "is in no room of the house")
        if top == "src" and path.endswith(".h"):
            h.breach(path, 1, "room", "a header lives in include/<room>; one for the room alone is called *_private.h")
        for line, name, ours in source.includes():
            if ours:
                check_own_include(h, path, line, name)
            else:
                check_foreign_include(h, path, line, name)


def check_own_include(h, path, line, name):
    room, top = room_of(path), path.split("/")[0]
    there = name.split("/")[0]
    if top == "tests" and is_test_header(h, path, name):
        return
    if "/" not in name:
        h.breach(path, line, "room", '"%s" is written without its room' % name)
        return
    if there not in RANKS:
        h.breach(path, line, "room", '"%s" is in no room of the house' % name)
        return
    if not h.has("include/" + name):
        h.breach(path, line, "room", 'there is no include/%s (a library\'s header goes in angle brackets)' % name)
    if unit_of(name).endswith("_private") and room != there and (path, name) not in GUESTS:
        h.breach(path, line, "private", '"%s" is for %s alone' % (name, there))
    if room is None or there == room:
        return
    if there in SEES[room] or os.path.splitext(name)[0] in SEES[room]:
        return
    if top == "tests" and (room in TESTS_SEE_ALL or any(s.startswith(there + "/") for s in SEES[room])):
        return
    if RANKS[there] > RANKS[room]:
        h.breach(path, line, "room", "%s may not look up to %s" % (room, there))
    else:
        h.breach(path, line, "room", '%s does not see "%s"' % (room, name))


def is_test_header(h, path, name):
    """A header beside the test, in tests/lib, or of another room's tests."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name)).replace(os.sep, "/")
    return h.has(beside) or h.has("tests/lib/" + name) or h.has("tests/" + name)


def check_foreign_include(h, path, line, name):
    for pattern, addresses, library in FOREIGN:
        if fnmatch.fnmatch(name, pattern):
            if path.startswith("include/"):
                h.breach(path, line, "foreign", "no header of ours shows %s" % library)
            elif not any(fnmatch.fnmatch(path, a) for a in addresses):
                h.breach(path, line, "foreign", "<%s> stays in %s" % (name, ", ".join(addresses)))
            return
    if name.endswith(".h") and (name[:-2] in LIBC or name.startswith(LIBC_FOLDERS)):
        return
    h.breach(path, line, "foreign", "<%s> is of no library that we use (FOREIGN in lint.py)" % name)


# ---- (b) include cycles


def check_cycles(h):
    edges = {}
    for path, source in h.sources.items():
        if path.startswith("include/"):
            edges[path] = {"include/" + name for _, name, ours in source.includes() if ours}
    for group in circles(edges):
        names = sorted(p[len("include/") :] for p in group)
        h.breach(sorted(group)[0], 1, "cycle", "headers include each other: " + ", ".join(names))


# ---- (d) names, (e) words


def check_names(h):
    for path, source in h.sources.items():
        if path.startswith("src/"):
            check_exports(h, path, source)
        if path.startswith("include/"):
            guard = re.sub(r"\W", "_", path[len("include/") :]).upper()
            if not re.search(r"^#ifndef %s\n#define %s\n" % (guard, guard), source.text, re.M):
                h.breach(path, 2, "name", "the guard is called %s" % guard)
        for m in re.finditer(r"\btypedef\s+(?:struct|union)\b", source.code):
            h.breach(path, source.line(m.start()), "name", "a struct keeps its name: no typedef")


def check_exports(h, path, source):
    noun = unit_of(path)
    extra = NOUNS.get(path, ([], ""))[0]
    part = PARTS.get(path)
    exports = [(f.first, f.name) for f in source.functions if not f.static] + source.objects
    for line, name in exports:
        if name == noun or name.startswith((noun + "_", noun + "s_")):
            continue
        if any(name == n or name.startswith(n + "_") for n in extra):
            h.excused("NOUNS", path)
        elif part and name.startswith(part[0] + "_"):
            h.excused("PARTS", path)
        elif name != "main":
            h.breach(path, line, "name", "%s is exported: it begins with %s_, or is static" % (name, noun))


def plug_of(path):
    for room, noun in PLUGS.values():
        if path.startswith("src/%s/%s_" % (room, noun)):
            return noun
    return None


def words_of(identifier):
    """`send_requests`, `sendRequests` and `SEND_REQUESTS` all hold send and request; a plural is its singular."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", identifier).lower()
    return {w for part in spaced.split("_") for w in (part, part[:-1] if part.endswith("s") else part)}


def check_words(h):
    forbidden = set(SYNONYMS)
    for path, source in h.sources.items():
        for identifier, line in source.identifiers().items():
            if FOREIGN_NAMES.match(identifier):
                continue
            for word in sorted(words_of(identifier) & forbidden):
                allowed = [k for k in SYNONYMS_ALLOWED if k[1] == word and fnmatch.fnmatch(path, k[0])]
                if allowed:
                    h.used.update(("SYNONYMS_ALLOWED", k) for k in allowed)
                else:
                    h.breach(path, line, "word", "%s: the house has another word for a %s" % (identifier, word))


# ---- (f) every promise, every promise kept, every promise checked


def check_units(h):
    listed = h.texts.get("src/CMakeLists.txt", "")
    for path in sorted(h.sources):
        if not path.startswith("src/") or not path.endswith(".c") or room_of(path) is None:
            continue
        room, unit = room_of(path), unit_of(path)
        if listed and not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(unit), listed):
            h.breach(path, 1, "unit", "src/CMakeLists.txt does not build it")
        check_header_of(h, path, room, unit)
        check_test_of(h, path, room, unit)
    for path in sorted(h.sources):
        m = re.match(r"tests/(\w+)/test_(\w+)\.c$", path)
        if m and not re.search(r"\b%s\b" % m.group(2), h.texts.get("tests/%s/tests.cmake" % m.group(1), "")):
            h.breach(path, 1, "unit", "tests/%s/tests.cmake does not run it" % m.group(1))


def check_header_of(h, path, room, unit):
    if h.has("include/%s/%s.h" % (room, unit)) or h.has("include/%s/%s_private.h" % (room, unit)) or plug_of(path):
        return
    if path in PARTS:
        h.excused("PARTS", path)
    elif path not in HEADERLESS:
        h.breach(path, 1, "unit", "there is no include/%s/%s.h" % (room, unit))


def check_test_of(h, path, room, unit):
    if has_test(h, room, unit):
        return
    if path in UNTESTED:
        h.excused("UNTESTED", path)
        return
    if path in PARTS:
        h.excused("PARTS", path)
    whole = plug_of(path) or PARTS.get(path, (None,))[0]
    if not (whole and has_test(h, room, whole)):
        h.breach(path, 1, "unit", "there is no tests/%s/test_%s.c" % (room, unit))


def has_test(h, room, unit):
    """test_pool.c, or test_pool_<aspect>.c."""
    stem = "tests/%s/test_%s" % (room, unit)
    return any(t == stem + ".c" or (t.startswith(stem + "_") and t.endswith(".c")) for t in h.sources)


# ---- (g) measures and looks


def check_measures(h):
    for path, source in h.sources.items():
        limit, lines = FILE_LINES[path.split("/")[0]], source.text.count("\n")
        if lines > limit:
            h.breach(path, lines, "long", "%d lines: a file has %d at most" % (lines, limit))
        for f in source.functions:
            if f.lines > FUNCTION_LINES:
                h.breach(path, f.first, "long", "%s has %d lines: %d at most" % (f.name, f.lines, FUNCTION_LINES))
            if f.parameters > PARAMETERS and (path, f.name) in CALLED:
                h.excused("CALLED", (path, f.name))
            elif f.parameters > PARAMETERS:
                h.breach(path, f.first, "long", "%s takes %d parameters: %d at most" % (f.name, f.parameters, PARAMETERS))
            elif f.parameters > WISHED_PARAMETERS and not path.startswith("tests/"):
                h.notes.append("%s:%d: %s takes %d parameters" % (path, f.first, f.name, f.parameters))
        for line in source.conditions_in_bodies():
            h.breach(path, line, "ifdef", "a difference between platforms is a file, not an #if in a body")


def check_looks(h):
    for path, text in h.texts.items():
        if GENERATED.match(path):
            continue
        lines = text.split("\n")
        if path.endswith(SPDX_SUFFIXES) or lines[0].startswith("#!"):
            head = lines[1:2] if lines[0].startswith("#!") else lines[:1]
            if not head or SPDX not in head[0]:
                h.breach(path, 1, "spdx", "begins with the line %s" % SPDX)
        narrow = path.endswith((".c", ".h", ".py", ".sh", ".cmake"))
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                h.breach(path, number, "space", "white space at the end of the line")
            if narrow and len(line) > 70 and len(line.expandtabs(8)) > LINE_COLUMNS:
                h.breach(path, number, "wide", "%d columns: %d at most" % (len(line.expandtabs(8)), LINE_COLUMNS))
        if not path.endswith(".md"):
            for m in DEBT.finditer(text):
                line = text.count("\n", 0, m.start()) + 1
                h.breach(path, line, "debt", "%s: do it now, or say in an issue why not" % m.group())
        if text and not text.endswith("\n"):
            h.breach(path, len(lines), "space", "no line break at the end of the file")


# ---- (h) banned functions


def check_banned(h):
    for path, source in h.sources.items():
        banned = dict(BANNED, **BANNED_IN_TESTS) if path.startswith("tests/") else BANNED
        for line, name in source.calls(banned):
            h.breach(path, line, "banned", "%s: %s" % (name, banned[name]))


# ---- (j) tables

ROW = re.compile(r'^([A-Z]+)\((.*)\)\s*$')
FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,\s][^,]*)')


def rows_of(text):
    """(line, macro, fields) of each row; a field is its string's contents, or its word. A row goes on in lines that begin with a tab."""
    number = 1
    for row in re.split(r"\n(?!\t)", text):
        m = ROW.match(re.sub(r"\n\t", "", re.sub(r'"\n\t"', "", row)))
        if m:
            yield number, m.group(1), [(a if b == "" else b).strip() for a, b in FIELD.findall(m.group(2))]
        number += 1 + row.count("\n")


def check_tables(h):
    for path in sorted(h.texts):
        if path.startswith("include/tables/") and path.endswith(".def"):
            rows = list(rows_of(h.texts[path]))
            if not rows:
                h.breach(path, 1, "table", "has no rows")
            check_rows(h, path, rows)
            check_documented(h, path, rows)


def name_in_row(macro, fields):
    """What a user calls the row: the first field in quotes."""
    return fields[0] if macro in ("SERVICE", "COMMAND") else fields[1]


def check_rows(h, path, rows):
    seen, families = set(), []
    for line, macro, fields in rows:
        key = {"OPTION": fields[:2], "METRIC": fields[1:3]}.get(macro, [name_in_row(macro, fields)])
        if tuple(key) in seen:
            h.breach(path, line, "table", "%s stands here twice" % " ".join(key))
        seen.add(tuple(key))
        if macro == "METRIC":
            first = fields[1] not in families
            if not first and families[-1] != fields[1]:
                h.breach(path, line, "table", "the rows of %s do not stand together" % fields[1])
            families.append(fields[1])
            if first and not fields[3]:
                h.breach(path, line, "table", "%s says nothing of itself" % fields[1])
        elif macro == "SERVICE":
            if fields[2] in ("WARN", "REFUSED") and not fields[3]:
                h.breach(path, line, "table", "%s does not say why" % fields[0])
        elif not fields[-1]:
            h.breach(path, line, "table", "%s says nothing of itself" % name_in_row(macro, fields))
        check_plug(h, path, line, fields[1 if macro == "COMMAND" else 2])


def check_plug(h, path, line, unit):
    plug = PLUGS.get(path[len("include/") :])
    if plug and not h.has("src/%s/%s_%s.c" % (plug[0], plug[1], unit)):
        h.breach(path, line, "table", "there is no src/%s/%s_%s.c" % (plug[0], plug[1], unit))


def check_documented(h, path, rows):
    for page in DOCUMENTED.get(os.path.basename(path), []):
        text = h.texts.get(page)
        for line, macro, fields in rows if text else []:
            name = name_in_row(macro, fields)
            if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(name), text.replace("\\-", "-")):
                h.breach(path, line, "table", "%s does not mention %s" % (page, name))


# ---- the tables of this program


def check_exceptions(h):
    """An exception for a file that exists and needs none is a lie to the next reader."""
    tables = {"NOUNS": NOUNS, "PARTS": PARTS, "UNTESTED": UNTESTED, "SYNONYMS_ALLOWED": SYNONYMS_ALLOWED, "CALLED": CALLED}
    for table, keys in tables.items():
        for key in keys:
            paths = fnmatch.filter(h.sources, key[0] if isinstance(key, tuple) else key)
            if paths and (table, key) not in h.used:
                h.breach(paths[0], 1, "exception", "%s in lint.py excuses it, and need not" % table)


# ---- measures without a hard limit


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def seen_lines(h, path, lines=None):
    """Lines of our own headers that a file pulls in."""
    found, left = set(), [path]
    while left:
        source = h.sources.get(left.pop())
        for _, name, ours in source.includes() if source else []:
            full = "include/" + name
            if ours and full in h.texts and full not in found:
                found.add(full)
                left.append(full)
    return sum(h.texts[p].count("\n") for p in found if p.endswith(".h"))


def report(h):
    product = [p for p in h.sources if p.startswith("src/")]
    lengths = [f.lines for p in product for f in h.sources[p].functions]
    seen = {p: seen_lines(h, p) for p in product}
    source_lines = sum(h.texts[p].count("\n") for p in product)
    test_lines = sum(h.texts[p].count("\n") for p in h.sources if p.startswith("tests/"))
    p95 = percentile(lengths, 0.95)
    lines = [
        "%d files, %d functions: median %d, p95 %d (wished: %d), longest %d lines"
        % (len(product), len(lengths), percentile(lengths, 0.5), p95, WISHED_P95, max(lengths, default=0)),
        "own header lines seen by a .c: median %d, most %d (wished: %d)"
        % (percentile(list(seen.values()), 0.5), max(seen.values(), default=0), WISHED_SEEN),
        "test lines a source line: %.2f" % (test_lines / source_lines if source_lines else 0),
    ]
    return lines + sorted(h.notes)


CHECKS = [
    check_rooms, check_cycles, check_names, check_words, check_units, check_measures, check_looks, check_banned,
    check_tables, check_exceptions,
]  # fmt: skip


def lint(root):
    house = House(root)
    for check in CHECKS:
        check(house)
    house.breaches.sort()
    return house


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="keeps the house")
    parser.add_argument("--root", default=os.path.join(here, "..", ".."), help="the tree (default: the one around this file)")
    parser.add_argument("--report", action="store_true", help="print the measures that have no hard limit, too")
    options = parser.parse_args()
    house = lint(options.root)
    for path, line, rule, sentence in house.breaches:
        print("%s:%d: %s: %s" % (path, line, rule, sentence))
    if options.report:
        print("\n".join(report(house)))
    return 1 if house.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
