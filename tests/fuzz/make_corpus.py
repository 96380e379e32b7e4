#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz targets to corpus/NAME/ beside this file. Inputs that a fuzzer found are added by hand,
under other names, and stay untouched."""

import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus"
RD = 0x0100


def name(*labels):
    """A name on the wire."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def header(flags=RD, qd=1, an=0, ns=0, ar=0):
    return struct.pack(">6H", 0x1234, flags, qd, an, ns, ar)


def question(owner, rtype=1, rclass=1):
    return owner + struct.pack(">HH", rtype, rclass)


def opt(size=1232, version=0, flags=0x8000, options=b""):
    return b"\0" + struct.pack(">HHBBHH", 41, size, 0, version, flags, len(options)) + options


def record(owner, rtype, rdata, rclass=1, ttl=60):
    return owner + struct.pack(">HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def frame(message):
    return struct.pack(">H", len(message)) + message


WWW = name(b"wWw", b"Example", b"com")
LONGEST = name(*[b"a"] * 127)
COOKIE = struct.pack(">HH", 10, 8) + b"cookie!!"
POINTER = b"\xc0\x0c"
QUERY = header() + question(WWW)

NAMES = {
    "plain": (12, QUERY),
    "root": (12, header() + question(b"\0")),
    "longest": (12, header() + LONGEST),
    "too_long": (12, header() + b"\1a" + LONGEST),
    "pointer": (12 + len(WWW) + 4, QUERY + b"\3ftp" + POINTER),
    "pointer_to_pointer": (12 + len(WWW) + 6, QUERY + POINTER + struct.pack(">H", 0xC000 | 12 + len(WWW) + 4)),
    "loop": (12, header() + b"\1a" + POINTER),
    "into_header": (12, header() + b"\1a\xc0\x02"),
    "strange_octets": (12, header() + name(b"\0.\\\xff", b"\"<&>;$()", b"@Z[`z{")),
    "label_type_01": (12, header() + b"\x40abc\0"),
}

QUESTIONS = {
    "plain": QUERY,
    # Found by fuzzing: ldns takes four octets of this A's eighteen, and misses the OPT behind.
    "opt_behind_odd_a": bytes.fromhex(
        "123401000001000000000002004c002e00000001000029040000001234010000010000"
        "00000002004c002e00000000002904d0000080000000"),
    "edns": header(ar=1) + question(WWW, 28) + opt(),
    "edns_options": header(ar=1) + question(WWW, 65) + opt(options=COOKIE + struct.pack(">HH", 12, 0)),
    "edns_version": header(ar=1) + question(WWW) + opt(version=1),
    "two_opts": header(ar=2) + question(WWW) + opt() + opt(),
    "opt_first": header(ar=2) + question(WWW) + opt() + record(POINTER, 1, b"\x0a\0\0\1"),
    "opt_last": header(ar=2) + question(WWW) + record(POINTER, 1, b"\x0a\0\0\1") + opt(),
    "tsig": header(ar=1) + question(WWW) + record(name(b"key"), 250, b"abc", 255, 0),
    "ixfr": header(ns=1) + question(WWW, 251) + record(POINTER, 6, b"\0\0" + bytes(20)),
    "notify": header(0x2000) + question(WWW, 6),
    "update": header(0x2800, ns=1) + question(WWW, 6) + record(POINTER, 255, b"", 255, 0),
    "response": header(0x8180, an=1) + question(WWW) + record(POINTER, 1, b"\x0a\0\0\1"),
    "error_without_question": header(0x8181, qd=0),
    "no_question": header(qd=0),
    "longest": header(ar=1) + question(LONGEST) + opt(),
    "cut": QUERY[:-3],
    "trailing": QUERY + b"x",
}

FRAMES = {
    "one": (b"", frame(QUERY)),
    "pieces": (b"\0\2\5", frame(QUERY) + frame(QUESTIONS["edns"]) + frame(header())),
    "octets": (b"\0", frame(QUERY) * 3),
    "partial": (b"\7", frame(QUERY) + frame(QUERY)[:9]),
    "too_short": (b"\3", frame(QUERY) + b"\0\x0b" + bytes(11)),
    "long": (b"\xff\x10", frame(QUERY + bytes(1500)) + frame(QUERY)),
}


def write(target, seeds):
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    for title, octets in seeds.items():
        (folder / title).write_bytes(octets)


if __name__ == "__main__":
    write("name", {title: struct.pack(">H", at) + message for title, (at, message) in NAMES.items()})
    write("question", QUESTIONS)
    write("frame", {title: bytes([len(pieces)]) + pieces + stream for title, (pieces, stream) in FRAMES.items()})
