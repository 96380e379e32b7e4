# SPDX-License-Identifier: Apache-2.0
"""A steady stream of UDP queries, and what became of each: for tests that say "nothing is lost while …"."""

import collections
import select
import socket
import struct
import threading
import time

import dns.name
import dns.rcode
import dns.rdatatype

from lib import PATIENCE_S, Case, wait_for

# What became of a query: took is None, and rcode too, while no answer has come.
Sent = collections.namedtuple("Sent", "name at took rcode")

# Ids are told apart by number alone, over all sockets together.
MOST = 65536


def encode(name, id):
    """An A query with RD and an OPT of 1232, built by hand: dnspython takes too long for hundreds a second."""
    question = dns.name.from_text(name).to_wire() + struct.pack("!HH", dns.rdatatype.A, 1)
    return struct.pack("!6H", id, 0x0100, 1, 0, 0, 1) + question + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


class Load:
    """Asks `server` for names(0), names(1), … at `qps`, from `ports` sockets, until it is told to stop.

    The sockets belong to the network namespace that the caller is in. There are more of them than workers, for SO_REUSEPORT deals clients
    out by port."""

    def __init__(self, server, names, qps, ports=8):
        self.names = names
        self.qps = qps
        self.sent = []
        self.sockets = []
        for _ in range(ports):
            family = socket.AF_INET6 if ":" in server.ip else socket.AF_INET
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.setblocking(False)
            s.connect((server.ip, server.port))
            self.sockets.append(s)
        self.stopping = False
        self.patience_s = 0
        self.trouble = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _receive(self, ready):
        for s in ready:
            while True:
                try:
                    octets = s.recv(4096)
                except BlockingIOError:
                    break
                except ConnectionRefusedError:
                    continue
                id = int.from_bytes(octets[:2], "big")
                query = self.sent[id]
                if query.took is not None:
                    raise AssertionError(f"a second answer to {query.name}")
                self.sent[id] = query._replace(took=time.monotonic() - query.at, rcode=dns.rcode.to_text(octets[3] & 15))
                self.open -= 1

    def _run(self):
        try:
            self._exchange()
        except Exception as trouble:  # pylint: disable=broad-except; the test's thread raises it again
            self.trouble = trouble

    def _exchange(self):
        begun = time.monotonic()
        self.open = 0
        while not self.stopping:
            now = time.monotonic()
            due = begun + len(self.sent) / self.qps
            if now >= due:
                self._send(now)
                continue
            ready, _, _ = select.select(self.sockets, [], [], due - now)
            self._receive(ready)
        deadline = time.monotonic() + self.patience_s
        while self.open and time.monotonic() < deadline:
            ready, _, _ = select.select(self.sockets, [], [], 0.1)
            self._receive(ready)

    def _send(self, now):
        id = len(self.sent)
        if id >= MOST:
            raise AssertionError("more queries than ids")
        name = self.names(id)
        try:
            self.sockets[id % len(self.sockets)].send(encode(name, id))
        except ConnectionRefusedError:
            pass  # the ICMP error of an earlier one; this one counts as lost
        self.sent.append(Sent(name, now, None, None))
        self.open += 1

    def check(self):
        """Raises what went wrong in the thread, if anything did."""
        if self.trouble:
            raise self.trouble
        return True

    def finish(self, patience_s=6):
        """Stops asking, waits for what is out, and returns what became of each query, in the order they were asked."""
        self.patience_s = patience_s
        self.stopping = True
        self.thread.join()
        for s in self.sockets:
            s.close()
        self.check()
        return self.sent

    def abandon(self):
        """For cleaning up: ends it without asking how it went."""
        self.stopping = True
        self.thread.join()
        for s in self.sockets:
            s.close()


def unanswered(sent):
    return [q for q in sent if q.took is None]


def failed(sent):
    """Queries that got no answer, or another than NOERROR."""
    return [q for q in sent if q.rcode != "NOERROR"]


def slowest(sent):
    """Seconds the slowest answer took; the answers must be there."""
    return max(q.took for q in sent)


def summary(sent):
    """For messages: how many of what, and how slow."""
    answered = [q.took for q in sent if q.took is not None]
    kinds = collections.Counter(q.rcode or "lost" for q in sent)
    return f"{dict(kinds)}, slowest {max(answered, default=0):.3f} s"


class Loaded(Case):
    """A test under load."""

    def load(self, fwd, names, qps):
        load = Load(fwd, names, qps)
        self.addCleanup(load.abandon)
        return load

    def go_on(self, load, seconds):
        """Lets the load run for so long, counted in queries."""
        wanted = len(load.sent) + seconds * load.qps
        wait_for(lambda: load.check() and len(load.sent) >= wanted, patience_s=seconds + PATIENCE_S, what="the load")

    def fwd_says(self, fwd, words, times=1):
        wait_for(lambda: fwd.check_alive() or fwd.text().count(words) >= times, patience_s=30, what=f"“{words}”")
