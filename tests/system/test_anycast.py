# SPDX-License-Identifier: Apache-2.0
"""Two hosts that announce one address by BIRD, as packaging/anycast has it, and a router that sends clients to whoever does.

    client 10.8.0.2 -- 10.8.0.1 router 10.9.0.1 -- lan --+-- a 10.9.0.11   r53fwd, BIRD, 10.53.0.53 while it serves
                                                         +-- b 10.9.0.12   the same

Each is a network namespace. The endpoint is on the LAN."""

import contextlib
import os
import re
import shutil
import signal
import sys
import time

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from lib import (  # noqa: E402
    CORP,
    R53FWD,
    Address,
    Case,
    Forwarder,
    Program,
    Sim,
    addresses,
    ask,
    endpoint_conf,
    main,
    wait_for,
    zones_conf,
)
from netns import SKIPPED, Lan, obstacle_to_lan  # noqa: E402

ANYCAST = Address("10.53.0.53", 53, None)
HOSTS = {"a": "10.9.0.11", "b": "10.9.0.12"}
WWW = ["10.20.1.1", "10.20.1.2"]
MOVED_S = 60

ROUTER = """
router id 10.9.0.1;
protocol device {}
protocol kernel { ipv4 { export all; import none; }; merge paths on; }
protocol bgp a { local 10.9.0.1 as 65000; neighbor 10.9.0.11 as 65053; hold time 9; ipv4 { import all; export none; }; }
protocol bgp b { local 10.9.0.1 as 65000; neighbor 10.9.0.12 as 65053; hold time 9; ipv4 { import all; export none; }; }
"""


def shipped(name):
    with open(os.path.join(SOURCE, "packaging", "anycast", name), encoding="utf-8") as file:
        return file.read()


def bird():
    return shutil.which("bird", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Anycast(Case):
    def setUp(self):
        super().setUp()
        self.lan = Lan()
        self.addCleanup(self.lan.delete)
        self.router = self.lan.plug("router", "10.9.0.1")
        self.client = self.lan.space("client")
        self.client.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", self.router.name)
        self.client.ip("address", "add", "10.8.0.2/24", "dev", "eth0")
        self.router.ip("address", "add", "10.8.0.1/24", "dev", "eth1")
        self.client.ip("link", "set", "eth0", "up")
        self.router.ip("link", "set", "eth1", "up")
        self.client.ip("route", "add", "default", "via", "10.8.0.1")
        with self.router.inside(), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")
        with self.lan.plug("aws", "10.9.0.101", "10.9.0.102").inside():
            at = [Address(f"10.9.0.{101 + i}", 53, f"az{i + 1}") for i in range(2)]
            self.sim = self.stage.add(Sim(self.stage.folder, [CORP], at=at))
        self.bird("router", self.router, ROUTER)
        self.fwds, self.hosts = {}, {}
        for name, ip in HOSTS.items():
            self.host(name, ip)

    def bird(self, name, space, text):
        folder = os.path.join(self.stage.folder, name)
        os.makedirs(folder, exist_ok=True)
        conf = os.path.join(folder, "bird.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)
        with space.inside():
            self.stage.add(Program(f"bird-{name}", self.stage.folder, [bird(), "-f", "-c", conf, "-s", os.path.join(folder, "bird.ctl")]))

    def host(self, name, ip):
        space = self.hosts[name] = self.lan.plug(name, ip)
        space.ip("route", "add", "default", "via", "10.9.0.1")
        folder = os.path.join(self.stage.folder, name)
        os.mkdir(folder)
        conf = zones_conf([endpoint_conf(self.sim)], ["{name: corp.test, to: seoul}"], rest="workers: 1\n")
        with space.inside():
            fwd = Forwarder(folder, conf, name=f"fwd-{name}", at=Address("0.0.0.0", 53, None), ready=False)
            self.fwds[name] = self.stage.add(fwd)
            wait_for(lambda: fwd.check_alive() or os.path.exists(fwd.control), what=f"{name}'s forwarder")
            # The unit's own line; the daemon's path and socket are others.
            line = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", shipped("r53fwd-anycast.service"), re.M)[1]
            line = line.replace("/usr/bin/r53fwd status --alive", f"{R53FWD} status --alive --control {fwd.control}")
            self.assertIn(fwd.control, line)
            environment = {"ADDRESS": f"{ANYCAST.ip}/32"}
            self.stage.add(Program(f"unit-{name}", self.stage.folder, ["/bin/sh", "-c", line], environment))
        text, count = re.subn(r"10\.9\.0\.11", ip, shipped("bird.conf"))
        self.assertEqual(count, 2)
        self.bird(name, space, text)

    def next_hops(self):
        return set(re.findall(r"via (\S+)", self.router.ip("route", "show", ANYCAST.ip)))

    def answer(self):
        with self.client.inside(), contextlib.suppress(Exception):
            return addresses(ask(ANYCAST, "www.corp.test", timeout=0.5))
        return None

    def await_hops(self, *hosts):
        begun = time.monotonic()
        wait_for(lambda: self.next_hops() == {HOSTS[h] for h in hosts}, MOVED_S, f"the way to {' and '.join(hosts)}")
        wait_for(lambda: self.answer() == WWW, MOVED_S, "an answer")
        return time.monotonic() - begun

    def is_down(self, name):
        """Whether a host's endpoint is. A new name is asked for: an idle daemon would look once in 5 minutes."""
        with self.hosts[name].inside(), contextlib.suppress(Exception):
            ask(Address(HOSTS[name], 53, None), f"n{time.monotonic_ns()}.corp.test", timeout=0.5)
        return {e["name"]: e["state"] for e in self.fwds[name].status(expect=None)["endpoints"]}["seoul"] == "down"

    def test_clients_are_sent_to_what_serves(self):
        self.await_hops("a", "b")
        # The endpoint's end withdraws nobody.
        self.sim.ctl("all", "silent")
        for host in HOSTS:
            wait_for(lambda h=host: self.is_down(h), MOVED_S, "the end of the endpoint")
        self.assertEqual(self.next_hops(), set(HOSTS.values()))
        self.sim.ctl("all", "heal")
        self.fwds["a"].signal(signal.SIGSTOP)
        print(f"one hangs: {self.await_hops('b'):.1f} s", flush=True)
        self.fwds["a"].signal(signal.SIGCONT)
        self.await_hops("a", "b")
        self.assertEqual(self.fwds["b"].stop(), 0)
        print(f"one ends: {self.await_hops('a'):.1f} s", flush=True)


if __name__ == "__main__":
    reason = obstacle_to_lan() or (None if bird() else "bird2 is not installed")
    if reason:
        print(f"skipped: {reason}")
        raise SystemExit(SKIPPED)
    main()
