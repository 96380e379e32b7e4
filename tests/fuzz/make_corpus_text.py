#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz targets that read text, or words of one octet: control, resolv, page, fault, bridge,
keeper."""

import json

from make_corpus import write


def command(_verb, **more):
    return json.dumps({"command": _verb, **more})


def said(*lines):
    return "\n".join(lines).encode()


CONTROL = {
    # Each line is said thrice: by a stranger, by r53fwd-http, by the daemon's own user.
    "look": said(*[command(name) for name in ("status", "alive", "metrics", "ready") for _ in range(3)]),
    "act": said(*[command(name) for name in ("reload", "takeover", "reload", "takeover") for _ in range(3)]),
    "zones": said(*[command("status", zones="all"), command("ready", zones=True)] * 3),
    "flush": said(*[command("flush", **what) for what in ({"name": "WWW.corp.test."}, {"zone": "."}, {"all": True}, {})] * 3),
    "drain": said(*[command("drain", address=a) for a in ("10.1.0.1", "10.2.0.2:5300", "10.2.0.2:53", "::1", "x") for _ in range(3)]),
    "undrain": said(*[command("undrain", address="10.1.0.1")] * 3),
    "explain": said(*[
        command("explain", name=n, type=t) for n, t in (("www.corp.test", "AAAA"), ("localhost", "TYPE65280"), (".", "A"))] * 3),
    "wrong": said(
        "", "[]", "{", '{"command": 7}', '{"command": "alive", "alive": 1}', command("\x1b\u00e9"),
        '{"command":"alive","command":"alive"}'),
    "answer_error": said('{"error": "\\u001b[2J no"}'),
    "answer_drained": said(json.dumps({"pid": 7, "drained": ["10.1.0.1:53", "[::1]:53", "x", 7, None]})),
    "answer_none_drained": said(json.dumps({"pid": 7, "drained": ["05.1.0.1:53", "[::1z]:53", "x", 7, None]})),
    "answer_deep": b"[" * 3000,
}

RESOLV = {
    "usual": b"# by hand\nsearch example.internal\nnameserver 10.0.0.2\nnameserver\t10.0.0.3 # two\noptions edns0\n",
    "odd": b"nameserver 10.0.0.2:53\nnameserver [::1]\nnameserver 0.0.0.0\nnameserver ::\nnameserver fe80::1%lo\nnameserver ::1\r\n"
    b"nameserver x\n nameserver 10.0.0.4\nnameserver10.0.0.5\n",
    "many": b"".join(b"nameserver 10.0.0.%d\n" % i for i in (1, 2, 3, 1, 4, 5, 6, 7, 8, 9, 10)),
    "addresses": b"127.0.0.1\n[::1]:5353\n[fe80::1%lo]:53\n::1%2\n1.2.3.4:0\n1.2.3.4:65536\n[::ffff:1.2.3.4]\n",
    "networks": b"10.0.0.0/8\n10.0.0.1/8\n::/0\nfe80::/10\n1.2.3.4\n::1\n1.2.3.4/33\n10.0.0.0/08\n",
    "nothing": b"",
}

HOSTILE = "\"'><script>alert(1)</script>\x1b\n&amp;\u00e9"
ADDRESS = {"address": HOSTILE, "az": HOSTILE, "state": HOSTILE, "up": True, "rtt_ms": 1e300, "qps": -1, "queries": 2**62, "timeouts": "x"}
STATUS = {
    "version": HOSTILE, "uptime_seconds": 4000, "qps": 12.5, "zones_total": 2,
    "endpoints": [{"name": HOSTILE, "kind": "inbound-endpoint", "state": "down", "addresses": [ADDRESS, ADDRESS, 7, None]}],
    "zones": [{"name": HOSTILE, "to": [HOSTILE, 7], "state": "detached", "association": HOSTILE, "queries": 5}],
    "cache": {"entries": 8123, "bytes": 1e19, "hits": 930, "misses": 0, "stale": -1},
    "inbound_queries": {"asked": 5, "sent": 1, "avoided": 4}, "metrics": {HOSTILE: 1}, "config": {"path": HOSTILE, "reloads": {"ok": 3}},
    "history": {"qps": [1, 2, "x", 1e308]},
}
SAMPLE = {
    "labels": {"zone": HOSTILE + "\\", "le": "x", HOSTILE: "x"}, "value": 1.5, "count": 3, "sum": 0.1,
    "buckets": [[0.1, 1], [1e9, 2], 7],
}
FAMILIES = [
    {"name": "r53fwd_" + t, "type": t, "help": HOSTILE + "\\", "samples": [SAMPLE, SAMPLE, 7]} for t in ("counter", "gauge", "histogram")
]
PAGE = {
    "status": json.dumps(STATUS).encode(),
    "metrics": json.dumps({"families": FAMILIES + [{"name": HOSTILE}, 7]}).encode(),
    "empty": b"{}",
    "list": b"[]",
    "trouble": HOSTILE.encode(),
    **{"host_" + str(i): field.encode() for i, field in enumerate(
        ("localhost:80", "gate", "GATE.corp.example.", "a.proxy.example:", "[::1]:9553", "127.0.0.1", "xproxy.example", "gate.evil.example",
         "[::1"))},
}

FAULT = {
    "all": b"silent delay 300ms jitter 20ms loss 30% rcode SERVFAIL truncate garbage wrong-id wrong-question tcp-cut closed heal",
    "two": b"delay 1.5s loss 0.5%",
    "heal": b"silent heal",
    "wrong": b"delay 1h loss 101% rcode NOSUCH",
    "unfinished": b"delay",
}


def message(fds, octets):
    return bytes([fds, len(octets)]) + octets


BRIDGE = {
    "words": message(0, b"s") + message(0, b"k") + message(0, b"y") + message(0, b"n"),
    "clients": message(1, b"c") + message(1, b"c\0\x05abc") + message(0, b"c") + message(2, b"c") + message(3, b"cc"),
    "strange": message(1, b"s") + message(0, b"\0") + message(3, b"\0x") + message(0, b"\xff" * 200) + message(0, b""),
}

KEEPER = {
    "usual": b"r127.0.0.1:9553\0dns.corp.example\0json\0debug\0",
    "least": b"r[::1]:9553\0\0\0\0",
    "stop": b"s",
    "stop_more": b"s\0",
    "options": b"r-x\0--control\0-\0--sandbox=off\0",
    "later_option": b"r127.0.0.1:9553\0-x\0\0\0",
    "no_address": b"r\0dns.test\0json\0info\0",
    "wrong_words": b"r127.0.0.1:99999\0a..b\0xml\0loud\0",
    "too_few": b"r127.0.0.1\0\0\0",
    "too_many": b"r127.0.0.1\0\0\0\0/bin/sh\0",
    "open_end": b"r127.0.0.1\0\0\0info",
    "program": b"x/bin/sh\0-c\0id\0",
    "longest": b"r127.0.0.1\0" + b"a" * 511 + b"\0\0\0",
    "too_long": b"r127.0.0.1\0" + b"a" * 512 + b"\0\0\0",
}

write("control", CONTROL)
write("resolv", RESOLV)
write("page", PAGE)
write("fault", FAULT)
write("bridge", BRIDGE)
write("keeper", KEEPER)
