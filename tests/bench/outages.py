#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients feel while an endpoint fails: r53fwd beside what Debian has of its peers.

    ./dev bench outages [--scale 1] [--peers r53fwd unbound dnsdist dnsmasq] [--scenarios silent …]

500 names a second that nobody has asked before, through three addresses at 5 ms; a client waits 5 s and does not repeat. 8 s calm,
20 s with the first address (or all) in trouble, 10 s after; `--scale` stretches that. A peer that is not installed is passed over.
Everything stays on addresses of 127.0.0.0/8 of this process's own.

failed: no answer, or none with the records. normal: seconds until the last query of the bad time that failed, or took longer than
100 ms and three times the calm p99; the whole time means never. load: what upstreams were asked for a client's query, over the same
while calm. known: expired names answered while all addresses are silent, and how fast.
"""
import argparse
import collections
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RELEASE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "release")
os.environ.setdefault("R53FWD", os.path.join(RELEASE, "r53fwd"))
os.environ.setdefault("R53SIM", os.path.join(RELEASE, "r53sim"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

# pylint: disable=wrong-import-position
from lib import LOOPBACK, SOA, WORLD, Forwarder, Program, Sim  # noqa: E402
from lib import endpoint_conf, find_program, make_query, raw, rcode, wait_for, zones_conf  # noqa: E402
from load import Load  # noqa: E402

QPS, KNOWN_QPS, KNOWN_NAMES = 500, 50, 100
CALM_S, BAD_S, AFTER_S = 8, 20, 10
RTT = "delay 5ms"
PATIENCE_S = 5

# Unique names are answered from the wildcard; known ones live two seconds, so they have always expired.
ZONE = f"""
$ORIGIN corp.test.
@ 900 SOA {SOA} 60
@ 60 NS ns-0.awsdns-00.com.
*.u 3600 A 10.20.1.1
*.k 2 A 10.20.1.2
ready 60 A 10.20.1.3
"""

# Name → (whom, faults).
SCENARIOS = {
    "silent": (0, ["silent"]),
    "closed": (0, ["closed"]),
    "servfail": (0, ["rcode SERVFAIL"]),
    "refused": (0, ["rcode REFUSED"]),
    "garbage": (0, ["garbage"]),
    "loss": (0, ["loss 30%"]),
    "slow": (0, ["delay 300ms"]),
    "all": ("all", ["silent"]),
}


class Peer(Program):
    """A program with a configuration file, at an address of our choice."""

    def __init__(self, folder, name, argv, conf):
        self.ip, self.port = LOOPBACK.ip(), 5300
        path = os.path.join(folder, f"{name}.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(conf(self.ip, self.port))
        super().__init__(name, folder, [find_program(argv[0]), *(path if word == "CONF" else word for word in argv[1:])])


def r53fwd(folder, sim, world):
    return Forwarder(folder, zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: seoul}"], world))


def unbound(folder, sim, world):
    def conf(ip, port):
        forward = "".join(f"  forward-addr: {a.ip}@{a.port}\n" for a in sim.addresses)
        return (
            f"server:\n  interface: {ip}@{port}\n  access-control: 127.0.0.0/8 allow\n  username: ''\n  chroot: ''\n"
            f"  directory: {folder}\n  pidfile: ''\n  use-syslog: no\n  do-not-query-localhost: no\n  module-config: iterator\n"
            f"  local-zone: test. nodefault\n  outgoing-range: 4096\n  num-queries-per-thread: 2048\n  serve-expired: yes\n"
            f"  serve-expired-client-timeout: 1800\n  infra-keep-probing: yes\nremote-control:\n  control-enable: no\n"
            f"forward-zone:\n  name: corp.test.\n{forward}"
        )

    return Peer(folder, "unbound", ["unbound", "-d", "-c", "CONF"], conf)


def dnsdist(folder, sim, world):
    def conf(ip, port):
        servers = "".join(
            f"newServer({{address='{a.ip}:{a.port}', checkName='ready.corp.test.', mustResolve=true, checkInterval=1}})\n"
            for a in sim.addresses
        )
        return (
            f"addLocal('{ip}:{port}')\nsetACL('127.0.0.0/8')\nsetSecurityPollSuffix('')\nsetServerPolicy(leastOutstanding)\n"
            f"setUDPTimeout(2)\nsetServFailWhenNoServer(true)\nsetStaleCacheEntriesTTL(86400)\n{servers}"
            f"pc = newPacketCache(100000, {{staleTTL=30, temporaryFailureTTL=1}})\ngetPool(''):setCache(pc)\n"
        )

    return Peer(folder, "dnsdist", ["dnsdist", "--supervised", "--disable-syslog", "-C", "CONF"], conf)


def dnsmasq(folder, sim, world):
    def conf(ip, port):
        servers = "".join(f"server=/corp.test/{a.ip}#{a.port}\n" for a in sim.addresses)
        return (
            f"port={port}\nlisten-address={ip}\nbind-interfaces\nno-resolv\nno-hosts\nuser=\npid-file=\ncache-size=10000\n"
            f"dns-forward-max=20000\nuse-stale-cache=86400\nfast-dns-retry=1000,10000\n{servers}"
        )

    return Peer(folder, "dnsmasq", ["dnsmasq", "-k", "-C", "CONF", "--log-facility=-"], conf)


PEERS = {"r53fwd": r53fwd, "unbound": unbound, "dnsdist": dnsdist, "dnsmasq": dnsmasq}

Phase = collections.namedtuple("Phase", "begun ended asked upstream")


def percentile(sent, share):
    """Milliseconds, the unanswered counting as the client's patience."""
    took = sorted(PATIENCE_S if q.took is None else min(q.took, PATIENCE_S) for q in sent)
    return 1000 * took[min(len(took) - 1, int(len(took) * share))] if took else 0


def well(query):
    return query.rcode == "NOERROR" and query.took <= PATIENCE_S


class Run:
    """One peer in one scenario."""

    def __init__(self, folder, peer, scenario):
        self.folder = folder
        self.scenario = scenario
        self.programs = []
        self.sim = self.add(Sim(folder, [ZONE]))
        self.sim.ctl("all", RTT)
        self.world = self.add(Sim(folder, [WORLD], count=1, name="world"))
        self.server = self.add(PEERS[peer](folder, self.sim, self.world))
        question = make_query("ready.corp.test").to_wire()
        wait_for(lambda: self.server.check_alive() or rcode(raw(self.server, question, timeout=0.3)) == "NOERROR", what=f"{peer}'s start")
        self.loads = [Load(self.server, lambda i: f"n{i}.u.corp.test", QPS)]
        if scenario == "all":
            self.loads.append(Load(self.server, lambda i: f"n{i % KNOWN_NAMES}.k.corp.test", KNOWN_QPS))

    def add(self, program):
        self.programs.append(program)
        return program

    def go_on(self, seconds):
        begun, before = time.monotonic(), self.sim.count()
        while time.monotonic() < begun + seconds:
            for load in self.loads:
                load.check()
            time.sleep(0.05)
        ended = time.monotonic()
        return Phase(begun, ended, sum(begun <= q.at < ended for q in self.loads[0].sent), self.sim.count() - before)

    def tell(self, scale):
        whom, faults = SCENARIOS[self.scenario]
        calm = self.go_on(CALM_S * scale)
        self.sim.ctl(whom, *faults)
        bad = self.go_on(BAD_S * scale)
        self.sim.ctl("all", "heal")
        self.sim.ctl("all", RTT)
        after = self.go_on(AFTER_S * scale)
        new, *known = [load.finish(PATIENCE_S + 1) for load in self.loads]
        within = lambda sent, phase: [q for q in sent if phase.begun <= q.at < phase.ended]  # noqa: E731
        sent = within(new, bad)
        slow_s = max(0.1, 3 * percentile(within(new, calm), 0.99) / 1000)
        odd = [q.at for q in sent if not well(q) or q.took > slow_s]
        row = [
            f"{sum(not well(q) for q in sent)} of {len(sent)}",
            *(f"{percentile(sent, share):.0f}" for share in (0.5, 0.99, 0.999, 1)),
            f"{max(odd, default=bad.begun) - bad.begun:.1f}",
            f"{(bad.upstream / bad.asked) / (calm.upstream / calm.asked):.2f}",
            f"{sum(not well(q) for q in within(new, after))}",
        ]
        expired = within(known[0], bad) if known else []
        answered = f"{sum(well(q) for q in expired)} of {len(expired)}"
        row.append(f"{answered}, p50 {percentile(expired, 0.5):.1f} ms, p99 {percentile(expired, 0.99):.0f} ms" if known else "")
        return row

    def end(self):
        for program in reversed(self.programs):
            program.stop()


def measure(peer, scenario, scale):
    with tempfile.TemporaryDirectory(prefix="r53fwd-outages-") as folder:
        run = Run(folder, peer, scenario)
        try:
            return run.tell(scale)
        finally:
            run.end()


def installed(peer):
    try:
        return peer == "r53fwd" or bool(find_program(peer))
    except AssertionError:
        print(f"{peer} is not installed", file=sys.stderr)
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    args = parser.parse_args()
    print("| scenario | | failed | p50 ms | p99 | p99.9 | slowest | normal after s | load | failed after | known |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for scenario in args.scenarios:
        for peer in filter(installed, args.peers):
            print("| " + " | ".join([scenario, peer, *measure(peer, scenario, args.scale)]) + " |", flush=True)


if __name__ == "__main__":
    main()
