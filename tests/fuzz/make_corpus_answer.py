#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_answer to corpus/answer/ beside this file."""

import struct

from make_corpus import POINTER, WWW, header, name, opt, question, record, write

RESPONSE = 0x8180
BODY = 12 + len(WWW) + 4
A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME, RRSIG, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 46, 255
ADDRESS = b"\x0a\0\0\1"
NUMBERS = struct.pack(">5I", 1, 7200, 900, 1209600, 60)
STRAY = name(b"stray", b"example", b"net")
SOA_RECORD = record(name(b"Example", b"com"), SOA, name(b"ns") + name(b"host") + NUMBERS)


def pointer(at):
    return struct.pack(">H", 0xC000 | at)


def message(records, rtype=A, an=0, ns=0, ar=0, flags=RESPONSE, owner=WWW):
    return header(flags, 1, an, ns, ar) + question(owner, rtype) + b"".join(records)


def chain():
    """Two CNAMEs and an address, each owner a pointer to the rdata before."""
    first = record(POINTER, CNAME, name(b"b", b"net"))
    second = record(pointer(BODY + 12), CNAME, b"\1c" + pointer(12 + 4))
    return [first, second, record(pointer(BODY + len(first) + 12), A, ADDRESS)]


def stray_first():
    """Names that only a record off the chain spells out."""
    records = [record(STRAY, A, ADDRESS), record(POINTER, CNAME, b"\1b" + pointer(BODY))]
    target = BODY + len(records[0]) + 12
    return records + [record(pointer(target), A, ADDRESS), record(pointer(target), MX, b"\0\5\1m" + pointer(target))]


SEEDS = {
    "one": message([record(POINTER, A, ADDRESS)], an=1),
    "one_edns": message([record(POINTER, AAAA, bytes(16)), opt()], AAAA, an=1, ar=1),
    "chain": message(chain(), an=3),
    "chain_backwards": message([record(name(b"b", b"net"), A, ADDRESS), record(WWW, CNAME, name(b"b", b"net"))], an=2),
    "chain_nodata": message([record(POINTER, CNAME, name(b"b")), SOA_RECORD], AAAA, an=1, ns=1),
    "dname": message([record(pointer(16), DNAME, name(b"new")), record(pointer(16), RRSIG, b"\0\x27sig"),
                      record(name(b"www", b"new"), A, ADDRESS)], an=3),
    "nodata": message([SOA_RECORD, opt()], ns=1, ar=1),
    "nxdomain": message([SOA_RECORD], ns=1, flags=RESPONSE | 3),
    "stray": message([record(STRAY, A, ADDRESS), record(POINTER, A, ADDRESS)], an=2),
    "stray_pointers": message(stray_first() + [SOA_RECORD, record(pointer(BODY), A, ADDRESS), opt()], an=4, ns=1, ar=2),
    "stray_hidden": message([record(STRAY, TXT, name(b"x" * 40))] +
                            [record(POINTER, NS, pointer(BODY + len(STRAY) + 10))] * 40, an=41),
    "minfo": message([record(STRAY, A, ADDRESS), record(POINTER, 14, POINTER + POINTER)], 14, an=2),
    "sections": message([record(POINTER, NS, name(b"ns")), record(POINTER, SRV, bytes(6) + b"\1s" + POINTER),
                         record(b"\0", NS, b"\0"), record(pointer(BODY + 12), A, ADDRESS), opt()], ANY, an=2, ns=1, ar=2),
    "behind_opt": message([opt(), record(POINTER, A, ADDRESS)], ar=2),
    "two_opts": message([opt(), opt()], ar=2),
    "opt_in_answer": message([opt()], an=1),
    "big": message([record(POINTER, A, bytes([10, 0, 0, i]), ttl=i << 24) for i in range(200)] + [opt()], an=200, ar=1),
    "ttl_as_name": message([record(POINTER, A, ADDRESS, ttl=0x01610000), record(pointer(BODY + 6), A, ADDRESS)], an=2),
    "question_as_name": message([record(WWW, TXT, bytes(40)), record(pointer(BODY - 3), A, ADDRESS)], 0x0128, an=2),
    "foreign_server": message([record(POINTER, A, ADDRESS), record(STRAY, NS, STRAY), record(POINTER, NS, name(b"ns")),
                               record(name(b"ns"), A, ADDRESS), record(STRAY, A, ADDRESS)], an=1, ns=2, ar=2),
    "bad_rcode": message([b"\0" + struct.pack(">HHBBHH", 41, 1232, 1, 0, 0, 0)], ar=1),
    "error_without_question": header(RESPONSE | 2, 0),
    "cut": message([record(POINTER, A, ADDRESS)], an=2, flags=RESPONSE | 0x0200),
}

if __name__ == "__main__":
    write("answer", SEEDS)
