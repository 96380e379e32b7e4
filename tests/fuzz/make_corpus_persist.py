#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz_persist to corpus/persist/ beside this file. The last octet of a seed is a time that has passed."""

import struct

from make_corpus import POINTER, name, opt, record, write

MASK = (1 << 64) - 1
A, CNAME, SOA, AAAA = 1, 5, 6, 28
ADDRESS = b"\x0a\0\0\1"
WWW = name(b"www", b"example")
NUMBERS = struct.pack(">5I", 1, 7200, 900, 1209600, 60)
SOA_RECORD = record(POINTER, SOA, b"\0\0" + NUMBERS, ttl=900)
ONE_A = record(POINTER, A, ADDRESS)
NOW = b"\0"


def siphash13(data):
    """As base/hash.c, with a key of zeroes: what a route's identity is made of."""
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def rotate(x, bits):
        return (x << bits | x >> (64 - bits)) & MASK

    def sip_round():
        v[0] = (v[0] + v[1]) & MASK
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        sip_round()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        sip_round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def route(*endpoints):
    identity = 0
    for endpoint in endpoints:
        identity = siphash13(struct.pack("<QQ", identity, siphash13(endpoint)))
    return identity & 0xFFFFFFFF


SEOUL, LOCAL = route(b"seoul"), route(b"local")


def entry(body, owner=WWW, to=SEOUL, age=5, life=60, rtype=A, bits=0, flags=0, counts=(1, 0, 0), name_len=None, body_len=None):
    name_len = len(owner) if name_len is None else name_len
    body_len = len(body) if body_len is None else body_len
    return struct.pack(">IIIHBB5H", to, age, life, rtype, bits, name_len, flags, *counts, body_len) + owner + body


CHAIN = record(POINTER, CNAME, name(b"b", b"net")) + record(struct.pack(">H", 0xC000 | 12 + len(WWW) + 4 + 12), A, ADDRESS)
PRIVATE = name(b"db", b"private", b"example")

SEEDS = {
    "one": entry(ONE_A) + NOW,
    "two": entry(ONE_A) + entry(ONE_A, owner=name(b"b", b"example")) + NOW,
    "the_same_twice": entry(ONE_A) + entry(ONE_A, life=30) + NOW,
    "chain": entry(CHAIN, counts=(2, 0, 0)) + NOW,
    "nxdomain": entry(SOA_RECORD, flags=3, counts=(0, 1, 0)) + NOW,
    "nodata": entry(SOA_RECORD, rtype=AAAA, counts=(0, 1, 0)) + NOW,
    "local_signed": entry(ONE_A, owner=name(b"www", b"net"), to=LOCAL, bits=1, flags=0x0020) + NOW,
    "stale": entry(ONE_A, age=1000) + b"\x40",
    "past": entry(ONE_A, age=3600) + b"\xff",
    "guarded": entry(ONE_A, owner=PRIVATE) + entry(record(POINTER, A, b"\xc6\x33\x64\1"), owner=PRIVATE, life=50) + NOW,
    "longer_than_its_ttl": entry(record(POINTER, A, ADDRESS, ttl=0x7FFFFFFF), life=0xFFFFFFFF) + NOW,
    "ttl_top_bit": entry(record(POINTER, A, ADDRESS, ttl=0x80000001)) + NOW,
    "routed_elsewhere": entry(ONE_A, to=LOCAL) + NOW,
    "bits_of_an_endpoint": entry(ONE_A, bits=3) + NOW,
    "with_opt": entry(ONE_A + opt(), counts=(1, 0, 1)) + NOW,
    "servfail": entry(b"", flags=2, counts=(0, 0, 0)) + NOW,
    "counts": entry(ONE_A, counts=(2, 0, 0xFFFF)) + NOW,
    "name_too_short": entry(ONE_A, name_len=3) + NOW,
    "name_pointer": entry(ONE_A, owner=b"\1a" + POINTER) + NOW,
    "cut": entry(ONE_A)[:-3],
    "body_beyond": entry(ONE_A, body_len=0xFFFF) + NOW,
    "special": entry(ONE_A, owner=name(b"localhost"), to=LOCAL) + NOW,
}

if __name__ == "__main__":
    write("persist", SEEDS)
