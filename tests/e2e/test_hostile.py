# SPDX-License-Identifier: Apache-2.0
"""Clients and networks that mean harm, against the real program: what docs/security.md says of them."""

import os
import socket
import struct
import threading
import time

import dns.flags
import dns.message
import dns.rcode

from lib import PATIENCE_S, Case, addresses, ask, main, make_query, raw, read_frame, wait_for
from load import Load, encode

WWW = ["10.20.1.1", "10.20.1.2"]


def bound(source):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.settimeout(0.2)
    return s


def drain(s):
    """All that has come, and comes within 200 ms."""
    found = []
    try:
        while True:
            found.append(s.recv(4096))
    except TimeoutError:
        return found


class RateLimit(Case):
    def test_client_above_it_is_cut_down_and_others_are_not(self):
        fwd, _, _ = self.serve(rest="rate-limit: {qps: 20, slip: 4, exempt: [127.99.0.3]}")
        ask(fwd, "www.corp.test")
        loud, quiet, exempt = bound("127.99.0.1"), bound("127.99.0.2"), bound("127.99.0.3")
        with loud, quiet, exempt:
            for s, many in ((loud, 400), (quiet, 10), (exempt, 200)):
                for i in range(many):
                    s.sendto(encode("www.corp.test", i), (fwd.ip, fwd.port))
            came = [[m[2] & 2 for m in drain(s)] for s in (loud, quiet, exempt)]
        self.assertEqual((len(came[1]), any(came[1])), (10, False))
        self.assertEqual((len(came[2]), any(came[2])), (200, False))
        cut = sum(1 for tc in came[0] if tc)
        whole = len(came[0]) - cut
        # Slow machines take a second or two for this, each of which is worth 20 more.
        self.assertGreaterEqual(whole, 20)
        self.assertLess(whole, 200)
        self.assertGreater(cut, 40)
        self.assertLess(cut, 100)

    def test_limited_client_is_served_over_tcp(self):
        fwd, _, _ = self.serve(rest="rate-limit: {qps: 1, slip: 1}")
        for _ in range(3):
            response = ask(fwd, "www.corp.test", source="127.99.0.1")
        self.assertTrue(response.flags & dns.flags.TC)
        for _ in range(20):
            self.expect(ask(fwd, "www.corp.test", tcp=True, source="127.99.0.1"), ips=WWW)


if __name__ == "__main__":
    main()
