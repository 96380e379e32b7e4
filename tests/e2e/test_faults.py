#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that nearly never fail: allocations of ours, and those of libuv that may say no. Each fails once, the first, the second, and so on,
in a daemon that is linked for it (tests/lib/faults.h): it starts or says why not, and once it serves it goes on."""

import concurrent.futures
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


class Faults:
    """The file that the daemon maps: calls made, which one fails, how many in a row, how many did."""

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

    def arm(self, n, count=1):
        """The n-th call from now fails, and `count` in a row; 0: none."""
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
        """(exit status, what it said, whether a call failed) of a daemon whose n-th call fails; one that serves is ended by SIGTERM."""
        faults = Faults(os.path.join(self.stage.folder, f"start{n}.faults"))
        faults.arm(n)
        path = self.conf(self.stage.folder, f"start{n}", sim)
        said = path + ".err"
        with open(said, "wb") as err:
            child = subprocess.Popen([FAULTY, "--zones", path], stderr=err, env={**os.environ, **faults.env})
        try:
            with open(said, encoding="utf-8", errors="replace") as file:
                wait_for(lambda: child.poll() is not None or " serves: " in (file.seek(0), file.read())[1], what=f"a start with fault {n}")
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)
                status = child.wait(lib.PATIENCE_S)
                return n, status, (file.seek(0), file.read())[1], faults.failed > 0
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    def test_it_starts_or_says_why_not(self):
        sim = self.sim(zones=[CORP])
        _, status, said, _ = self.start(sim, 0)
        self.assertEqual(0, status, said)
        faults = Faults(os.path.join(self.stage.folder, "count.faults"))
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], ZONES), env=faults.env, program=FAULTY)
        most = faults.calls
        fwd.stop()
        self.assertGreater(most, 100)
        numbers = range(1, most + 1, 7 if SLOW else 1)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda n: self.start(sim, n), numbers))
        wrong, ended = [], 0
        for n, status, said, _ in results:
            ended += status == 1
            said_why = status == 0 or re.search(r"memory|Cannot allocate|threads|Too many open files", said)
            if status not in (0, 1) or "Sanitizer" in said or "assertion" in said or not said_why:
                wrong.append(f"fault {n} ended with {status}: {said}")
        self.assertEqual([], wrong)
        self.assertGreater(ended, len(numbers) // 4)


class Serving(Case):
    def setUp(self):
        super().setUp()
        self.faults = Faults(os.path.join(self.stage.folder, "faults"))

    def begin(self, rest=""):
        sim = self.sim(zones=[CORP])
        self.text = zones_conf([endpoint_conf(sim, extra="policy: ordered, probe: {interval: 60s}")], ZONES, self.world(), rest)
        return self.forwarder(self.text, env=self.faults.env, program=FAULTY)

    def reloads(self, fwd):
        return sum(fwd.status()["config"]["reloads"].values())

    def check_serves(self, fwd, name):
        self.faults.arm(0)
        fwd.check_alive()
        self.assertIn(rcode(raw(fwd, make_query(name).to_wire(), timeout=6)), ("NOERROR", "NXDOMAIN"))

    def test_a_reload_goes_through_or_changes_nothing(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        before = self.faults.calls
        fwd.command("reload")
        most = self.faults.calls - before + 5
        self.assertGreater(most, 60)
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

    @staticmethod
    def ended(fwd):
        return len(re.findall(r" (?:was not loaded|loaded: )", fwd.text()))

    def test_a_query_is_answered_or_shed_and_the_next_is_answered(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        for n in range(1, 40, 3 if SLOW else 1):
            for tcp in (False, True):
                for name in (f"q{n}{tcp}.corp.test", "www.example"):
                    self.faults.arm(n)
                    raw(fwd, make_query(name).to_wire(), tcp=tcp, timeout=0.3)
                self.check_serves(fwd, f"r{n}{tcp}.corp.test")

    def test_no_memory_at_all_for_a_while_ends_nothing(self):
        fwd = self.begin()
        self.check_serves(fwd, "www.corp.test")
        for i in range(3):
            self.faults.arm(1, count=1 << 40)
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
        self.faults.arm(1, count=1 << 40)
        self.assertEqual(0, fwd.stop())


class Descriptors(Case):
    """RLIMIT_NOFILE tiny: there is room for the listeners and hardly more."""

    def test_newest_connections_and_questions_go_first_and_nothing_ends(self):
        limit = 64
        sim = self.sim(zones=[CORP])
        conf = zones_conf([endpoint_conf(sim, extra="policy: ordered")], ZONES, self.world(), "workers: 1\n")
        fwd = self.forwarder(conf, before=["prlimit", f"--nofile={limit}:{limit}"])
        self.assertIn("RLIMIT_NOFILE of 64", fwd.text())
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
