# SPDX-License-Identifier: Apache-2.0
"""What the lint needs to know of a C file: includes, identifiers, functions. Not a compiler: a small, robust scanner.

Comments, strings and character constants are blanked first, with the line breaks kept, so that every later look may use
plain regular expressions; for the functions preprocessor lines are blanked as well.
"""

import re

BLANKED = re.compile(
    r"""/\*.*?(?:\*/|\Z) | //(?:[^\n\\]|\\.)* | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' """, re.S | re.X
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b", re.M)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
MARK = re.compile(r"[{}();=]")
NO_NAMES = {"if", "for", "while", "switch", "return", "sizeof", "__attribute__", "defined"}


def blank(match):
    """Spaces for all but the line breaks; the quotes of a string stay, so that `"a" "b"` remains two things."""
    text = match.group()
    hollow = re.sub(r"[^\n]", " ", text)
    return text[0] + hollow[1:-1] + text[-1] if text[0] in "\"'" and len(text) > 1 else hollow


class Function:
    """One function definition: where it stands, how long it is, what it takes."""

    def __init__(self, name, static, first, last, parameters):
        self.name, self.static, self.first, self.last, self.parameters = name, static, first, last, parameters

    @property
    def lines(self):
        return self.last - self.first + 1


class Source:
    """A C source or header, scanned."""

    def __init__(self, text):
        self.text = text
        self.code = BLANKED.sub(blank, text)
        self.plain = DIRECTIVE.sub(blank, self.code)
        self.functions, self.objects, self.bodies = [], [], []
        self._scan()

    def line(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        """(line, path, ours): ours was written in quotes. Read from the text, where the quotes still have their contents; an
        include inside a comment is told by the blanked code."""
        for m in INCLUDE.finditer(self.text):
            if "#" in self.code[m.start() : m.end()]:
                yield self.line(m.start()), m.group(1) or m.group(2), m.group(1) is not None

    def identifiers(self):
        """Each identifier with the first line that has it."""
        seen = {}
        for m in IDENTIFIER.finditer(self.code):
            seen.setdefault(m.group(), m.start())
        return {name: self.line(at) for name, at in seen.items()}

    def calls(self, names):
        """(line, name) wherever one of the names is called."""
        for m in re.finditer(r"\b(%s)[ \t]*\(" % "|".join(names), self.code):
            yield self.line(m.start()), m.group(1)

    def conditions_in_bodies(self):
        """Lines of #if and its kin inside a function."""
        for m in CONDITION.finditer(self.code):
            if any(first < m.start() < last for first, last in self.bodies):
                yield self.line(m.start())

    def _scan(self):
        """Walks the brackets of the file once. At depth 0 a `{` behind a `)` opens a function, and a `=` an object."""
        depth, start, open_at, last_closed = 0, 0, None, None
        rounds = []
        for m in MARK.finditer(self.plain):
            mark, at = m.group(), m.start()
            if mark == "(":
                rounds.append(at)
            elif mark == ")" and rounds:
                begin = rounds.pop()
                if depth == 0 and not rounds:
                    last_closed = self._list_of(begin, at) or last_closed
            elif mark == "{":
                if depth == 0 and last_closed and self._is_body(at):
                    open_at = (start, at, last_closed)
                depth += 1
            elif mark == "}":
                depth = max(depth - 1, 0)
                if depth == 0:
                    if open_at:
                        self._add_function(open_at, at)
                        start, last_closed, open_at = at + 1, None, None
            elif depth == 0 and not rounds:
                if mark == "=":
                    self._add_object(start, at)
                else:
                    start, last_closed = at + 1, None

    def _list_of(self, begin, end):
        """(name, begin, end) of a parameter list; None for an attribute's brackets."""
        before = re.search(r"([A-Za-z_]\w*)\s*$", self.plain[max(0, begin - 120) : begin])
        return (before.group(1), begin, end) if before and before.group(1) not in NO_NAMES else None

    def _is_body(self, at):
        return self.plain[:at].rstrip()[-1:] == ")" if at < 400 else self.plain[at - 400 : at].rstrip()[-1:] == ")"

    def _add_function(self, opened, end):
        start, brace, (name, begin, close) = opened
        head = self.plain[start:begin]
        first = start + len(head) - len(head.lstrip())
        inside = self.plain[begin + 1 : close]
        flat = re.sub(r"\([^()]*\)", "", inside)
        count = 0 if inside.strip() in ("", "void") else flat.count(",") + 1
        self.functions.append(Function(name, "static" in head.split(), self.line(first), self.line(end), count))
        self.bodies.append((brace, end))

    def _add_object(self, start, at):
        head = self.plain[start:at]
        words = head.split()
        if not words or words[0] in ("static", "typedef", "extern", "enum", "_Static_assert"):
            return
        name = re.search(r"([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*$", head)
        if name:
            self.objects.append((self.line(start + len(head) - len(head.lstrip())), name.group(1)))
