#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that nearly never fail: allocations of ours, those of libuv that may say no, and those of the system. Each fails once, the first,
the second, and so on, or one of them for a while, in a daemon that is linked for it (tests/lib/faults.h): it starts or says why not, and
once it serves it goes on."""

import concurrent.futures
import contextlib
import errno
import mmap
import os
import re
import signal
import struct
import subprocess
import sys

import lib
from lib import CORP, LOOPBACK, Case, ask, endpoint_conf, main, make_query, raw, rcode, wait_for, zones_conf

FAULTY = os.environ["R53FWD_FAULTY"]
ZONES = ["{name: corp.test, to: seoul, keep-warm: [www.corp.test], expect: private}"]
# Under a sanitizer a start takes a second: every one of the first, then some.
SLOW = os.environ.get("R53FWD_HOLES") == "sanitizer"


# What a start says that had to end.
WHY = re.compile(
    r"memory|threads|Too many open files|Input/output error|No buffer space|No space left|Address already in use|"
    r"Cannot assign requested address|Resource temporarily unavailable|another r53fwd runs there"
)


class Faults:
    """The file that the daemon maps: calls made, which one fails, how many in a row, how many did, and which are meant."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(4096))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        self.env = {"R53FWD_FAULTS": path}

    def _get(self, i):
        return struct.unpack_from("<Q", self.page, 8 * i)[0]

    def _set(self, i, value):
        struct.pack_into("<Q", self.page, 8 * i, value)

    @property
    def calls(self):
        return self._get(0)

    @property
    def failed(self):
        return self._get(3)

    def arm(self, n, count=1, only="", error=0):
        """The n-th call from now fails, and `count` in a row; 0: none. Of all calls, or `only` those of a kind or a name, with `error`."""
        self._set(1, 0)
        self.page[40:72] = only.encode().ljust(32, b"\0")
        self._set(4, error)
        self._set(2, count)
        self._set(1, self.calls + n if n else 0)


class Start(Case):
    def conf(self, folder, name, sim):
        ip = LOOPBACK.ip()
        text = zones_conf([endpoint_conf(sim)], ZONES, None, f"workers: 2\ncache: {{persist: {folder}/{name}.cache}}\n")
        path = os.path.join(folder, f"{name}.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"listen: ['{ip}:{LOOPBACK.port(ip)}']\ncontrol: {folder}/{name}.control\n{text}")
        return path

    def start(self, sim, n):
        """(n, exit status, what it said, calls made) of a daemon whose n-th call fails; one that serves is ended by SIGTERM."""
        faults = Faults(os.path.join(self.stage.folder, f"start{n}.faults"))
        faults.arm(n)
        path = self.conf(self.stage.folder, f"start{n}", sim)
        said = path + ".err"
        with open(said, "wb") as err:
            child = subprocess.Popen([FAULTY, "--zones", path], stderr=err, env={**os.environ, **faults.env})
        try:
            with open(said, encoding="utf-8", errors="replace") as file:
                wait_for(lambda: child.poll() is not None or " serves: " in (file.seek(0), file.read())[1], what=f"a start with fault {n}")
                status = lib.end(child) if child.poll() is None else child.wait()
                return n, status, (file.seek(0), file.read())[1], faults.calls
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    def test_it_starts_or_says_why_not(self):
        sim = self.sim(zones=[CORP])
        _, status, said, most = self.start(sim, 0)
        self.assertEqual(0, status, said)
        self.assertGreater(most, 200)
        numbers = range(1, most + 1, 7 if SLOW else 1)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda n: self.start(sim, n), numbers))
        wrong, ended = [], 0
        for n, status, said, _ in results:
            ended += status == 1
            said_why = status == 0 or WHY.search(said)
            if status not in (0, 1) or "Sanitizer" in said or "assertion" in said or not said_why:
                wrong.append(f"fault {n} ended with {status}: {said}")
        self.assertEqual([], wrong)
        self.assertGreater(ended, len(numbers) // 8)


class Serving(Case):
    def setUp(self):
        super().setUp()
        self.faults = Faults(os.path.join(self.stage.folder, "faults"))

    def begin(self, rest=""):
        sim = self.sim(zones=[CORP])
        self.text = zones_conf([endpoint_conf(sim, extra="policy: ordered, probe: {interval: 60s}")], ZONES, self.world(), rest)
        return self.started(self.forwarder(self.text, env=self.faults.env, program=FAULTY))

    def others(self, fwd):
        """How many descriptors it has besides bound UDP sockets, of which there are more and fewer all the time."""
        with open(f"/proc/{fwd.pid}/net/udp", encoding="ascii") as file:
            udp = {line.split()[9] for line in file.readlines()[1:]}
        names = []
        for fd in os.listdir(f"/proc/{fwd.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                names.append(os.readlink(f"/proc/{fwd.pid}/fd/{fd}"))
        return sum(name.removeprefix("socket:[").rstrip("]") not in udp for name in names)

    def started(self, fwd):
        """Its workers answer before the start has come to its end."""
        wait_for(lambda: fwd.check_alive() or " serves: " in fwd.text(), what="the end of the start")
        return fwd

    def check_serves(self, fwd, name):
        self.faults.arm(0)
        fwd.check_alive()
        self.assertIn(rcode(raw(fwd, make_query(name).to_wire(), timeout=6)), ("NOERROR", "NXDOMAIN"))

    def test_a_reload_goes_through_or_changes_nothing(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        before, held = self.faults.calls, self.others(fwd)
        fwd.command("reload")
        most = self.faults.calls - before + 5
        self.assertGreater(most, 80)
        for n in range(1, most + 1, 5 if SLOW else 1):
            more = f"cache: {{max-ttl: {n + 60}s}}\n"
            fwd.write_conf(self.text + more)
            ended = self.ended(fwd)
            self.faults.arm(n)
            fwd.signal(signal.SIGHUP)
            wait_for(lambda: fwd.check_alive() or self.ended(fwd) > ended, what=f"a reload with fault {n}")
            self.check_serves(fwd, f"n{n}.corp.test")
        fwd.command("reload")
        self.assertNotIn("assertion", fwd.text())
        wait_for(lambda: self.others(fwd) <= held + 2, what="the end of what reloads have opened")

    def hup(self, fwd, more=()):
        """A reload, to these addresses besides; whether it was loaded."""
        fwd.more = list(more)
        fwd.write_conf(self.text)
        ended = self.ended(fwd)
        fwd.signal(signal.SIGHUP)
        wait_for(lambda: fwd.check_alive() or self.ended(fwd) > ended, what="a reload")
        return re.findall(r" (was not loaded|loaded: )", fwd.text())[-1] == "loaded: "

    @staticmethod
    def is_free(at):
        with lib.socket.socket(lib.socket.AF_INET, lib.socket.SOCK_DGRAM) as udp, lib.socket.socket() as tcp:
            tcp.setsockopt(lib.socket.SOL_SOCKET, lib.socket.SO_REUSEADDR, 1)
            try:
                udp.bind((at.ip, at.port))
                tcp.bind((at.ip, at.port))
            except OSError:
                return False
        return True

    def test_an_address_that_a_reload_adds_is_served_or_said_not_to_be(self):
        fwd = self.begin("workers: 1\n")
        self.check_serves(fwd, "www.corp.test")
        ip = LOOPBACK.ip()
        new = lib.Address(ip, LOOPBACK.port(ip), None)
        query = make_query("www.corp.test").to_wire()

        def is_served():
            try:
                return all(rcode(raw(new, query, tcp=tcp, timeout=0.3)) == "NOERROR" for tcp in (False, True))
            except ConnectionError:
                return False

        def complaints():
            return fwd.text().count("does not serve an address") + fwd.text().count("not every worker has begun")

        before = self.faults.calls
        self.assertTrue(self.hup(fwd, [f"{new.ip}:{new.port}"]))
        wait_for(is_served, what="an answer at the address")
        most = self.faults.calls - before
        self.assertTrue(self.hup(fwd))
        served, refused = 0, 0
        for n in range(1, most + 1, 5 if SLOW else 1):
            wait_for(lambda: self.is_free(new), what="an address that is not served any more")
            complained = complaints()
            self.faults.arm(n)
            loaded = self.hup(fwd, [f"{new.ip}:{new.port}"])
            if loaded:
                wait_for(lambda c=complained: is_served() or complaints() > c, what=f"an answer or a complaint after fault {n}")
            self.faults.arm(0)
            refused += not loaded or complaints() > complained
            served += loaded and is_served()
            self.assertTrue(self.hup(fwd))
            self.check_serves(fwd, f"a{n}.corp.test")
        self.assertGreater(served, 0)
        self.assertGreater(refused, 0)

    @staticmethod
    def ended(fwd):
        return len(re.findall(r" (?:was not loaded|loaded: )", fwd.text()))

    def test_a_query_is_answered_or_shed_and_the_next_is_answered(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        self.assertEqual(24, lib.count(ask(fwd, "big.corp.test", "TXT", tcp=True)))
        held = self.others(fwd)
        fwd.command("flush", "big.corp.test")
        before = self.faults.calls
        ask(fwd, "big.corp.test", "TXT", tcp=True)
        most = self.faults.calls - before + 10
        self.assertGreater(most, 20)
        for n in range(1, most, 3 if SLOW else 1):
            for tcp in (False, True):
                for name, rdtype in ((f"q{n}{tcp}.corp.test", "A"), ("www.example", "A"), ("big.corp.test", "TXT")):
                    self.faults.arm(n)
                    raw(fwd, make_query(name, rdtype).to_wire(), tcp=tcp, timeout=0.3)
                    self.faults.arm(0)
                fwd.command("flush", "big.corp.test")
                self.check_serves(fwd, f"r{n}{tcp}.corp.test")
        # A connection to each address may be open.
        wait_for(lambda: self.others(fwd) <= held + 4, what="the end of what queries have opened")

    def test_no_memory_at_all_for_a_while_ends_nothing(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        for i in range(3):
            self.faults.arm(1, count=1 << 40, only="memory")
            for j in range(10):
                raw(fwd, make_query(f"m{i}-{j}.corp.test").to_wire(), tcp=j % 2 == 1, timeout=0.1)
                # What is known needs no memory.
                self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
            ended = self.ended(fwd)
            fwd.signal(signal.SIGHUP)
            wait_for(lambda: fwd.check_alive() or self.ended(fwd) > ended, what="a reload without memory")
            self.check_serves(fwd, f"again{i}.corp.test")
            fwd.command("reload")

    def test_a_stop_needs_no_memory(self):
        fwd = self.begin("workers: 2\n")
        self.check_serves(fwd, "www.corp.test")
        self.faults.arm(1, count=1 << 40, only="memory")
        self.assertEqual(0, fwd.stop())


    def states(self, fwd):
        """Of the endpoint's addresses. The local upstream of some tests is nobody's: then `status` ends with another status."""
        return [a["state"] for e in fwd.status(expect=None)["endpoints"] if e["name"] == "seoul" for a in e["addresses"]]

    def metric(self, fwd, name):
        return fwd.status(expect=None)["metrics"][f"r53fwd_{name}"]

    def check_recovers(self, fwd, name):
        """Who could not be heard may be thought silent for a moment; then it serves, over UDP and TCP."""
        fwd.check_alive()
        for tcp in (False, True):
            query = make_query(f"{name}.corp.test").to_wire()
            wait_for(lambda q=query, t=tcp: rcode(raw(fwd, q, tcp=t)) == "NXDOMAIN", what=f"an answer, TCP {tcp}")

    def test_what_this_host_lacks_is_shed_and_no_address_is_blamed(self):
        fwd = self.begin("workers: 1\n")
        self.check_serves(fwd, "www.corp.test")
        shed = 0
        for i, (only, error) in enumerate(
            (("socket", errno.EMFILE), ("socket", errno.ENFILE), ("socket", errno.ENOBUFS), ("uv_poll_init", errno.ENOSPC),
             ("bind", errno.EADDRINUSE), ("setsockopt", errno.ENOMEM))
        ):
            with self.subTest(call=only, error=errno.errorcode[error]):
                # Upstreams that nobody has asked yet: a socket is wanted for each of them.
                sim = self.sim(zones=[CORP], name=f"sim{i}")
                text = zones_conf([endpoint_conf(sim, extra="probe: {interval: 1s}")], ZONES, None, "workers: 1\n")
                fwd.write_conf(text)
                fwd.command("reload")
                self.faults.arm(1, count=1 << 40, only=only, error=error)
                answers = [ask(fwd, f"s{j}.corp.test") for j in range(10)]
                self.faults.arm(0)
                failed = [a for a in answers if lib.dns.rcode.to_text(a.rcode()) == "SERVFAIL"]
                for answer in failed:
                    self.assertEqual([(0, "no descriptor, port or memory is left to ask with")], lib.ede(answer))
                shed += len(failed)
                self.assertNotIn("down", self.states(fwd))
                self.assertEqual("NXDOMAIN", lib.dns.rcode.to_text(ask(fwd, "s0.corp.test").rcode()))
        self.assertGreater(shed, 20)
        self.assertGreaterEqual(self.metric(fwd, "shed_total"), shed)
        self.assertGreaterEqual(self.metric(fwd, 'unsent_questions_total{reason="shortage"}'), shed)
        wait_for(lambda: "descriptors, ports or memory have run out: " in fwd.text(), what="a line about it")

    def test_a_call_of_the_road_that_fails_for_a_while_ends_nothing(self):
        fwd = self.begin("workers: 1\n")
        self.check_serves(fwd, "www.corp.test")
        for i, (only, error) in enumerate(
            ((only, error) for only in ("recvmmsg", "sendmmsg", "accept4", "recv", "send", "connect", "recvmsg", "fcntl")
             for error in (errno.ENOMEM, errno.ENOBUFS, errno.EINTR, errno.EAGAIN))
        ):
            with self.subTest(call=only, error=errno.errorcode[error]):
                self.faults.arm(1, count=1 << 40, only=only, error=error)
                for tcp in (False, True):
                    raw(fwd, make_query(f"w{i}{tcp}.corp.test").to_wire(), tcp=tcp, timeout=0.1)
                    raw(fwd, make_query("big.corp.test", "TXT").to_wire(), tcp=tcp, timeout=0.1)
                self.faults.arm(0)
                if only == "sendmmsg":
                    self.assertNotIn("down", self.states(fwd))
                self.check_recovers(fwd, f"x{i}")

    def test_clients_wait_while_nothing_can_be_accepted(self):
        fwd = self.begin("workers: 1\n")
        self.check_serves(fwd, "www.corp.test")
        self.faults.arm(1, count=1 << 40, only="accept4")
        query = make_query("www.corp.test").to_wire()
        with lib.socket.create_connection((fwd.ip, fwd.port), timeout=lib.PATIENCE_S) as client:
            client.sendall(len(query).to_bytes(2, "big") + query)
            wait_for(lambda: self.faults.failed >= 2, what="accepting")
            self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
            self.faults.arm(0)
            self.assertEqual("NOERROR", rcode(lib.read_frame(client)))
        self.assertGreaterEqual(self.metric(fwd, "tcp_accept_rests_total"), 2)
        wait_for(lambda: "descriptors, ports or memory have run out: " in fwd.text(), what="a line about it")

    def test_local_upstreams_outlive_a_reload_that_cannot_open_resolv_conf(self):
        resolv = os.path.join(self.stage.folder, "resolv.conf")
        with open(resolv, "w", encoding="ascii") as file:
            file.write("nameserver 127.99.99.99\n")
        sim = self.sim(zones=[CORP])
        text = re.sub(r"local-upstreams:.*\n", "", zones_conf([endpoint_conf(sim)], ZONES))
        fwd = self.started(self.forwarder(text, env={**self.faults.env, "R53FWD_RESOLV_CONF": resolv}, program=FAULTY))

        def local():
            # The look at resolv.conf that is made each second may be the one that fails: then the reload's is good.
            return [a for e in fwd.status(expect=None)["endpoints"] for a in e["addresses"] if a["address"] == "127.99.99.99:53"]

        self.assertEqual(1, len(local()))
        for n in range(2, 8):
            fwd.write_conf(f"cache: {{max-ttl: {n + 60}s}}\n{text}")
            self.faults.arm(2, only="open", error=errno.EMFILE)
            loaded = fwd.command("reload", expect=None)
            self.faults.arm(0)
            self.assertEqual(1, len(local()), loaded)
        self.assertNotIn("no local upstream", fwd.text())
        self.assertNotIn("names nobody but us", fwd.text())

    def test_what_was_kept_on_a_disk_outlives_its_failures(self):
        sim = self.sim(zones=[CORP])
        kept = os.path.join(self.stage.folder, "cache")
        text = zones_conf([endpoint_conf(sim)], ZONES, None, f"cache: {{persist: {kept}}}\n")
        first = self.forwarder(text, name="first")
        ask(first, "www.corp.test")
        self.assertEqual(0, first.stop())
        ways = (("write", errno.ENOSPC), ("fsync", errno.EIO), ("renameat", errno.ENOSPC), ("openat", errno.EMFILE))
        for i, (only, error) in enumerate(ways):
            with self.subTest(call=only):
                with open(kept, "rb") as file:
                    before = file.read()
                faults = Faults(os.path.join(self.stage.folder, f"kept{i}.faults"))
                faults.arm(1, count=1 << 40, only=only, error=error)
                fwd = self.forwarder(text, name=f"kept{i}", env=faults.env, program=FAULTY)
                ask(fwd, "v6.corp.test", "AAAA")
                self.assertEqual(0, fwd.stop(), fwd.text())
                self.assertIn("1 answers were taken from ", fwd.text())
                self.assertRegex(fwd.text(), f"(?:cannot|could not) be written to {kept}")
                self.assertIn(os.strerror(error), fwd.text())
                with open(kept, "rb") as file:
                    self.assertEqual(before, file.read())
                self.assertFalse(os.path.exists(kept + ".new"))


class Takeover(Case):
    """Each call of the instance that takes over, or of the one that hands over, fails once: afterwards exactly one of the two serves."""

    def setUp(self):
        super().setUp()
        sim = self.sim(zones=[CORP])
        self.number = 0
        self.ip = LOOPBACK.ip()
        self.at = lib.Address(self.ip, LOOPBACK.port(self.ip), None)
        control = os.path.join(self.stage.folder, "one.control")
        self.conf = zones_conf([endpoint_conf(sim, extra="policy: ordered")], ZONES, None, f"workers: 2\ncontrol: {control}\n")

    def instance(self, options=(), fault=0):
        self.number += 1
        faults = Faults(os.path.join(self.stage.folder, f"takeover{self.number}.faults"))
        faults.arm(fault)
        name = f"takeover{self.number}"
        fwd = self.forwarder(self.conf, name=name, options=options, env=faults.env, program=FAULTY, at=self.at, ready=False)
        fwd.faults = faults
        return fwd

    def settle(self, old, new, what):
        """The one that serves in the end; the other has ended by itself."""
        wait_for(lambda: old.child.poll() is not None or new.child.poll() is not None, what=f"the end of one of two with {what}")
        gone, left = (old, new) if old.child.poll() is not None else (new, old)
        self.assertEqual(0 if gone is old else 1, gone.child.returncode, f"{what}: {gone.text()}")
        self.assertNotIn("assertion", gone.text())
        self.assertNotIn("Sanitizer", gone.text())
        left.faults.arm(0)
        for tcp in (False, True):
            query = make_query("www.corp.test").to_wire()
            wait_for(lambda: left.check_alive() or rcode(raw(left, query, tcp=tcp)) == "NOERROR", what=f"an answer after {what}")
        return left

    def sweep(self, of_new):
        serving = self.instance()
        wait_for(serving.is_ready, what="the first instance")
        before = serving.faults.calls
        new = self.instance(options=["--takeover"])
        wait_for(lambda: serving.child.poll() is not None, what="the first takeover")
        most = (new if of_new else serving).faults.calls - (0 if of_new else before)
        self.assertGreater(most, 30)
        serving, taken, kept = new, 0, 0
        for n in range(1, most + 1, 5 if SLOW else 1):
            serving.faults.arm(0 if of_new else n)
            new = self.instance(options=["--takeover"], fault=n if of_new else 0)
            left = self.settle(serving, new, f"fault {n}")
            taken += left is new
            kept += left is serving
            serving = left
        self.assertGreater(taken, 0)
        self.assertGreater(kept, 0)

    def test_one_serves_whatever_fails_in_the_one_that_takes_over(self):
        self.sweep(of_new=True)

    def test_one_serves_whatever_fails_in_the_one_that_hands_over(self):
        self.sweep(of_new=False)


class Descriptors(Case):
    """RLIMIT_NOFILE tiny: there is room for the listeners and hardly more."""

    def test_newest_connections_and_questions_go_first_and_nothing_ends(self):
        limit = 64
        sim = self.sim(zones=[CORP])
        conf = zones_conf([endpoint_conf(sim, extra="policy: ordered")], ZONES, self.world(), "workers: 1\n")
        fwd = self.forwarder(conf, before=["prlimit", f"--nofile={limit}:{limit}"])
        wait_for(lambda: "RLIMIT_NOFILE of 64" in fwd.text(), what="a warning of the limit")
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        held = []
        for _ in range(2 * limit):
            held.append(lib.socket.create_connection((fwd.ip, fwd.port), timeout=2))
        self.addCleanup(lambda: [s.close() for s in held])
        # Every descriptor is taken: what is cached is answered, what is not is answered or shed, over the sockets that are there.
        for i in range(30):
            self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
            self.assertIsNotNone(raw(fwd, make_query(f"d{i}.corp.test").to_wire(), timeout=6))
        fwd.check_alive()
        self.assertLessEqual(len(os.listdir(f"/proc/{fwd.pid}/fd")), limit)
        for s in held:
            s.close()
        wait_for(lambda: rcode(raw(fwd, make_query("after.corp.test").to_wire(), tcp=True)) == "NXDOMAIN", what="room for TCP again")
        fwd.status()


if __name__ == "__main__":
    if os.environ.get("R53FWD_HOLES") == "coverage":
        print("skipped: gcov's own calls would fail as well, and it does not look")
        sys.exit(77)
    main()
