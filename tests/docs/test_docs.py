#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether the documents hold: links lead somewhere, every option has its place in zones.conf(5), manual pages are clean, no path
of somebody's machine was left behind, and each `./dev VERB` that is spoken of exists.

With R53FWD_BINARY set to the program, its own `--print man` is examined as well.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "lint"))

import lint  # noqa: E402

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.S | re.M)
VERB = re.compile(r"(?<![\w/])\./dev[ \t]+([a-z][a-z-]*)")
# Written so that this file does not match itself.
MACHINE = re.compile(r"(?<![\w.~$}-])/(?:wor[k]|far[m]|roo[t]|tmp/buil[d])(?![\w.])")
OPTION = re.compile(r'^OPTION\(\w+, "([^"]+)"', re.M)


def read(root, path):
    with open(os.path.join(root, path), "rb") as f:
        return f.read().decode("utf-8", "replace")


def text_files(root):
    for path in lint.tree_files(root):
        with open(os.path.join(root, path), "rb") as f:
            if b"\0" not in f.read(8192) and not path.startswith("tests/fuzz/corpus/"):
                yield path


def anchors_of(markdown):
    """What a heading is called in a link: lower case, blanks as hyphens, no punctuation; the second of a name gets -1."""
    found = set()
    for heading in HEADING.findall(FENCE.sub("", markdown)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        number = 0
        while name + ("-%d" % number if number else "") in found:
            number += 1
        found.add(name + ("-%d" % number if number else ""))
    return found


def broken_links(root, path):
    """Links of one Markdown file that lead nowhere inside the tree; the web is not asked."""
    markdown = FENCE.sub("", read(root, path))
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", markdown)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(path), place)) if place else path
        if full.startswith("..") or not os.path.exists(os.path.join(root, full)):
            yield "%s: %s: there is no such file" % (path, link)
        elif anchor and full.endswith(".md") and anchor not in anchors_of(read(root, full)):
            yield "%s: %s: there is no such heading" % (path, link)


def unknown_verbs(text, dev):
    """Verbs of ./dev in `text` that the program `dev` does not know: each verb stands in it as a word of code."""
    for verb in sorted(set(VERB.findall(text))):
        if not re.search(r"(?<![\w-])(?:cmd_|do_|dev_)?%s(?:\s*\)|\s*\(|[\"'|:])" % re.escape(verb), dev):
            yield verb


def missing_options(page, options):
    plain = page.replace("\\-", "-").replace("\\&", "")
    return [o for o in options if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(o), plain)]


def printed(what):
    return subprocess.run([os.environ["R53FWD_BINARY"], "--print", what], check=True, capture_output=True, text=True).stdout


def blocks(markdown, language):
    """(line, text) of each fenced block of a language."""
    for m in re.finditer(r"^```%s\n(.*?)^```" % re.escape(language), markdown, re.S | re.M):
        yield markdown.count("\n", 0, m.start()) + 1, m.group(1)


def spoken_commands(markdown):
    """The command lines of r53fwd, in shell blocks and in `code`: words up to the end of the line, a pipe or a comment."""
    shell = "\n".join(text for _, text in blocks(markdown, "sh"))
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", markdown)) + shell.split("\n"):
        for m in re.finditer(r"(?:^|[\s(])r53fwd[ \t]+([^|#;>&)]*)", code):
            yield m.group(1).split()


def unknown_words(words, commands, flags):
    """What of a command line `r53fwd WORDS` the program does not know: a command in lower case, or an option."""
    if words and re.fullmatch(r"[a-z]+", words[0]) and words[0] not in commands:
        yield words[0]
    for word in words:
        m = re.match(r"--([a-z-]+)", word)
        if m and m.group(1) not in flags:
            yield word


class Documents(unittest.TestCase):
    """The tree itself."""

    def setUp(self):
        self.markdown = [p for p in lint.tree_files(ROOT) if p.endswith(".md")]

    def test_links_lead_somewhere(self):
        self.assertTrue(self.markdown)
        self.assertEqual([], [b for path in self.markdown for b in broken_links(ROOT, path)])

    def test_no_path_of_a_machine_is_left(self):
        found = []
        for path in text_files(ROOT):
            for number, line in enumerate(read(ROOT, path).split("\n"), 1):
                if MACHINE.search(line):
                    found.append("%s:%d: %s" % (path, number, line.strip()))
        self.assertEqual([], found)

    def test_verbs_of_dev_exist(self):
        spoken = "\n".join(read(ROOT, p) for p in self.markdown)
        if not VERB.search(spoken):
            self.skipTest("./dev is not spoken of")
        self.assertTrue(os.access(os.path.join(ROOT, "dev"), os.X_OK), "./dev is spoken of, and is no program")
        self.assertEqual([], list(unknown_verbs(spoken, read(ROOT, "dev"))))

    def test_every_option_has_its_place_in_the_manual(self):
        options = OPTION.findall(read(ROOT, "include/tables/options.def"))
        self.assertTrue(options)
        pages = {}
        if os.path.exists(os.path.join(ROOT, "docs/man/zones.conf.5")):
            pages["docs/man/zones.conf.5"] = read(ROOT, "docs/man/zones.conf.5")
        if os.environ.get("R53FWD_BINARY"):
            pages["--print man"] = printed("man")
        if not pages:
            self.skipTest("neither docs/man/zones.conf.5 nor R53FWD_BINARY is there")
        for name, page in pages.items():
            self.assertEqual([], missing_options(page, options), name)

    def test_examples_of_zones_conf_pass_check(self):
        """Blocks of YAML with `zones:` at their left edge are whole files."""
        if not os.environ.get("R53FWD_BINARY"):
            self.skipTest("R53FWD_BINARY is not there")
        wrong, tried = [], 0
        for path in self.markdown:
            for line, text in blocks(read(ROOT, path), "yaml"):
                if not re.search(r"^zones:", text, re.M):
                    continue
                tried += 1
                said = self.check_file([os.environ["R53FWD_BINARY"], "check", "--zones"], text)
                wrong += ["%s:%d: %s" % (path, line, said)] if said else []
        self.assertEqual([], wrong)
        self.assertGreater(tried, 5)

    # What the peers themselves say of their configuration, where they are installed.
    PEERS = {
        "unbound": ["unbound-checkconf"],
        "dnsmasq": ["dnsmasq", "--test", "-C"],
        "named": ["named-checkconf"],
        "dnsdist": ["dnsdist", "--check-config", "-C"],
    }

    def test_peers_accept_their_examples(self):
        wrong = []
        for language, command in self.PEERS.items():
            program = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
            for path in self.markdown if program else []:
                for line, text in blocks(read(ROOT, path), language):
                    said = self.check_file([program] + command[1:], text)
                    wrong += ["%s:%d: %s" % (path, line, said)] if said else []
        self.assertEqual([], wrong)

    @staticmethod
    def check_file(command, text):
        """What `command FILE` complains of; None if it does not."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            run = subprocess.run(command + [file.name], capture_output=True, text=True, check=False)
        return run.stdout + run.stderr if run.returncode else None

    def test_commands_that_are_spoken_of_exist(self):
        commands = re.findall(r'^COMMAND\("([^"]+)"', read(ROOT, "include/tables/commands.def"), re.M)
        flags = re.findall(r'^FLAG\(\w+, "([^"]+)"', read(ROOT, "include/tables/flags.def"), re.M)
        self.assertTrue(commands and flags)
        wrong = []
        for path in self.markdown:
            for words in spoken_commands(read(ROOT, path)):
                wrong += ["%s: r53fwd %s: %s" % (path, " ".join(words), w) for w in unknown_words(words, commands, flags)]
        self.assertEqual([], wrong)

    def test_manual_pages_are_clean(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        pages = [os.path.join(ROOT, p) for p in lint.tree_files(ROOT) if re.match(r"docs/man/.*\.[1-8]$", p)]
        self.assertTrue(pages)
        with tempfile.TemporaryDirectory() as folder:
            if os.environ.get("R53FWD_BINARY"):
                pages.append(os.path.join(folder, "zones.conf.5"))
                with open(pages[-1], "w", encoding="utf-8") as page:
                    page.write(read(ROOT, "docs/man/zones.conf.5.in").replace("@OPTIONS@", printed("man").strip()))
            said = subprocess.run(["mandoc", "-T", "lint"] + pages, capture_output=True, text=True).stdout
        # Tolerated: whether the pages that are referred to are installed is this host's business, and the rows' help texts are as long
        # as they are.
        passed = re.compile("referenced manual not found|outdated mandoc.db|zones\\.conf\\.5:.*longer than 80 bytes")
        self.assertEqual([], [s for s in said.split("\n") if s and not passed.search(s)])

    def test_manual_and_help_name_the_same(self):
        """Every option and command of --help stands in the page's own markup, and every option of the page in --help."""
        programs = {"R53FWD_BINARY": "docs/man/r53fwd.8", "R53SIM_BINARY": "docs/man/r53sim.1"}
        if not all(os.environ.get(name) for name in programs):
            self.skipTest("the programs are not built")
        for name, page in programs.items():
            text = read(ROOT, page)
            help_text = subprocess.run([os.environ[name], "--help"], check=True, capture_output=True, text=True).stdout
            offered = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", help_text))
            explained = set(re.findall(r"^\.(?:It .*)?Fl -([a-z-]+)", text, re.M)) - {"option"}
            explained |= set(re.findall(r"^\.It Fl -([a-z-]+) ,", text, re.M))
            self.assertEqual(offered, explained, page)
            for word in re.findall(r"^  (?:r53fwd )?([a-z][a-z-]+)\b", help_text, re.M):
                if word != "r53fwd":
                    self.assertRegex(text, r"(?m)^\.(?:It )?Cm (?:\w+ \| )?%s\b" % word, page)


class Rules(unittest.TestCase):
    """The rules, on small texts."""

    def test_anchor_is_the_heading_in_lower_case(self):
        text = "# The life of a query\n```\n# not one\n```\n## How, and why?\n## A `b` [c](d)\n## A b c\n"
        self.assertEqual({"the-life-of-a-query", "how-and-why", "a-b-c", "a-b-c-1"}, anchors_of(text))

    def test_link_to_nowhere_is_found(self):
        found = self.broken("[a](gone.md) [b](#no) [c](#yes)\n# Yes\n")
        self.assertEqual(["gone.md", "#no"], [b.split(": ")[1] for b in found])

    def test_link_in_code_and_to_the_web_passes(self):
        self.assertEqual([], self.broken("`[a](gone.md)` [w](https://example.com/x)\n```\n[b](gone.md)\n```\n"))

    def test_unknown_verb_is_found(self):
        dev = 'case "$1" in\nrun) build;;\ntest|bench) t;;\nesac\n'
        self.assertEqual(["paint"], list(unknown_verbs("`./dev run` `./dev test` ./dev paint", dev)))

    def test_path_of_a_machine_is_found(self):
        for text in ("see /wor" "k/main", "cd /roo" "t", "in /tmp/buil" "d-x", "`/far" "m/a`"):
            self.assertTrue(MACHINE.search(text), text)
        for text in ("/workers", "frame/work", "http://example.com/root-hints", "/etc/work", "/root.zone"):
            self.assertFalse(MACHINE.search(text), text)

    def test_block_of_a_language_is_found_with_its_line(self):
        text = "# One\n\n```yaml\na: 1\n```\n```sh\nls\n```\n"
        self.assertEqual([(3, "a: 1\n")], list(blocks(text, "yaml")))

    def test_command_lines_are_found_in_code_alone(self):
        text = "r53fwd nothing `r53fwd check --zones F` `r53fwd-http`\n```sh\nr53fwd status --json | jq\n# r53fwd here\nr53fwd\n```\n"
        self.assertEqual([["check", "--zones", "F"], ["status", "--json"], ["here"]], list(spoken_commands(text)))

    def test_unknown_words_of_a_command_line_are_found(self):
        self.assertEqual([], list(unknown_words("check --zones=F".split(), ["check"], ["zones"])))
        self.assertEqual(["paint", "--red"], list(unknown_words("paint --zones F --red".split(), ["check"], ["zones"])))
        self.assertEqual([], list(unknown_words(["NAME"], ["check"], [])))

    def test_missing_option_is_found(self):
        self.assertEqual(["size"], missing_options("max\\-qps and min-size", ["max-qps", "size"]))

    def broken(self, text):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "sample.md"), "w", encoding="utf-8") as f:
                f.write(text)
            return list(broken_links(folder, "sample.md"))


if __name__ == "__main__":
    unittest.main()
