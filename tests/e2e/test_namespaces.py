# SPDX-License-Identifier: Apache-2.0
"""A network of its own: the host on premises, a router that stands for Direct Connect or the VPN, and one network per AZ behind it, each
a network namespace; NSD serves in the AZs. What real paths do to packets, nftables does in the router.

    prem 10.9.0.2 --- 10.9.0.1 router 10.20.N.1 --- 10.20.N.10 azN        (N: 1, 2, 3)

Names carry this process's id, and what was made is taken away again, whatever happens. Nothing outside these namespaces is touched."""

import contextlib
import os
import shutil
import time
import unittest

import dns.flags
import dns.message

from lib import (
    AT_ONCE_S,
    CORP,
    Address,
    Nsd,
    Unbound,
    addresses,
    ask,
    ede,
    endpoint_conf,
    main,
    make_query,
    raw,
    wait_for,
    zones_conf,
)
from load import Loaded, failed, slowest, summary, unanswered
from netns import SKIPPED, Namespace, run

ROUTE = "{name: corp.test, to: seoul}"
HARD_BOUND_S = 4
STALE_AFTER_S = 1.8
WWW = ["10.20.1.1", "10.20.1.2"]

# Besides CORP: an answer that just fits 1232 octets, which is 1260 on the wire, and one beyond every datagram.
ZONE = (
    CORP
    + "*.fleeting 1 A 10.20.1.9\n"
    + "".join(f'fits TXT "part {i:02} {"x" * 100}"\n' for i in range(9))
    + "".join(f"huge A 10.21.{i // 250}.{i % 250}\n" for i in range(1000))
)


class Network:
    """The picture above."""

    AZS = 3

    def __init__(self):
        self.spaces = []
        try:
            self.prem, self.router = self.add("prem"), self.add("router")
            self.azs = [self.add(f"az{i + 1}") for i in range(self.AZS)]
            self.join(self.prem, "dx", "10.9.0.2/24", "prem", "10.9.0.1/24")
            for i, az in enumerate(self.azs):
                self.join(az, "eni", f"10.20.{i + 1}.10/24", f"az{i + 1}", f"10.20.{i + 1}.1/24")
            with self.router.inside(), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
                file.write("1")
            self.filter()
        except BaseException:
            self.delete()
            raise

    def add(self, role):
        space = Namespace(role)
        self.spaces.append(space)
        return space

    def join(self, space, device, ip, router_device, router_ip):
        """A cable between a namespace and the router; the router is its way to everywhere."""
        space.ip("link", "add", device, "type", "veth", "peer", "name", router_device, "netns", self.router.name)
        space.ip("addr", "add", ip, "dev", device)
        self.router.ip("addr", "add", router_ip, "dev", router_device)
        space.ip("link", "set", device, "up")
        self.router.ip("link", "set", router_device, "up")
        space.ip("route", "replace", "default", "via", router_ip.split("/")[0])

    def filter(self, *rules):
        """The router's rules for what passes through it, in place of those before. No connection tracking: it would put fragments
        together."""
        chain = "type filter hook forward priority 0; policy accept;\n" + "".join(f"{rule}\n" for rule in rules)
        text = f"table ip path {{}}\ndelete table ip path\ntable ip path {{\nchain forward {{\n{chain}}}\n}}\n"
        with self.router.inside():
            run("nft", "-f", "-", input=text)

    def delete(self):
        """The cables go with their ends."""
        for space in reversed(self.spaces):
            with contextlib.suppress(OSError):
                space.delete()


def obstacle():
    """Why there is no network of our own here; None if there is one."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    for tool in ("ip", "nft", "nsd"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"{tool} is not installed"
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    try:
        network = Network()
    except OSError as refusal:
        return f"this machine refuses: {refusal}"
    network.delete()
    return None


class Path(Loaded):
    # Large datagrams, as an inbound endpoint sends them to who asks for such.
    NSD = "  ipv4-edns-size: 4096\n"

    def setUp(self):
        # Before the stage is set: clean-ups run last in, first out, so the programs end first, and then the network goes.
        self.network = Network()
        self.addCleanup(self.network.delete)
        super().setUp()
        self.ips = [f"10.20.{i + 1}.10" for i in range(Network.AZS)]

    def tearDown(self):
        self.network.filter()

    def begin(self, conf="", rest=""):
        """NSD in each AZ, the forwarder on premises. From here on this thread lives on premises too."""
        self.nsds = []
        for i, az in enumerate(self.network.azs):
            with az.inside():
                at = Address(self.ips[i], 53, f"az{i + 1}")
                nsd = self.stage.add(Nsd(self.stage.folder, {"corp.test": ZONE}, name=f"nsd{i + 1}", at=at, server_lines=self.NSD))
                nsd.az = at.az
                self.nsds.append(nsd)
        stay = contextlib.ExitStack()
        stay.enter_context(self.network.prem.inside())
        self.addCleanup(stay.close)
        self.addresses = self.nsds
        self.fwd = self.forwarder(zones_conf([endpoint_conf(self, extra=conf)], [ROUTE], rest=rest))
        for i in range(10):
            self.expect(ask(self.fwd, f"warm{i}.wild.corp.test"))
        return self.fwd

    def check_loaded(self, *rules, seconds=2):
        """Under these rules no query fails, and none takes longer than the contract's bound."""
        load = self.load(self.fwd, lambda i: f"q{i}.wild.corp.test", 200)
        self.go_on(load, 0.5)
        self.network.filter(*rules)
        self.go_on(load, seconds)
        self.network.filter()
        self.go_on(load, 0.5)
        sent = load.finish()
        self.check_all_well(sent)

    def check_all_well(self, sent):
        self.assertEqual(failed(sent), [], summary(sent))
        self.assertLess(slowest(sent), HARD_BOUND_S, summary(sent))


class Host(Path):
    """What happens to the host itself, while every port that may be open is."""

    def begin_with_all_ports(self):
        self.begin(conf="source-ports: 32")
        for i in range(300):
            self.expect(ask(self.fwd, f"port{i}.wild.corp.test"))

    def expect_recovery(self):
        """Soon, new names are answered one after the other: each port was moved. A port is kept for 180 s."""
        names = (f"new{i}.wild.corp.test" for i in range(100000))

        def all_are_well():
            return all(ask(self.fwd, next(names)).rcode() == 0 for _ in range(100))

        with self.within(4 * HARD_BOUND_S):
            wait_for(all_are_well, patience_s=60, what="answers")

    def test_address_that_changes_is_noticed(self):
        self.begin_with_all_ports()
        self.network.prem.ip("addr", "del", "10.9.0.2/24", "dev", "dx")
        self.network.prem.ip("addr", "add", "10.9.0.3/24", "dev", "dx")
        self.network.prem.ip("route", "replace", "default", "via", "10.9.0.1")
        self.expect_recovery()

    def test_vpn_that_comes_up_is_noticed(self):
        """Behind it, only its own addresses are taken."""
        self.network.join(self.network.prem, "vpn", "10.8.0.2/24", "vpn", "10.8.0.1/24")
        self.network.prem.ip("route", "replace", "default", "via", "10.9.0.1")
        self.begin_with_all_ports()
        self.network.filter('ip daddr 10.20.0.0/16 iifname "vpn" ip saddr != 10.8.0.0/24 drop')
        self.network.prem.ip("route", "add", "10.20.0.0/16", "via", "10.8.0.1")
        self.expect_recovery()


class OneAz(Path):
    def test_silent_az_costs_no_query(self):
        self.begin()
        self.check_loaded(f"ip daddr {self.ips[0]} drop")

    def test_az_whose_answers_are_lost_costs_no_query(self):
        self.begin()
        self.check_loaded(f"ip saddr {self.ips[0]} drop")

    def check_rejected(self, kind):
        """An ICMP error starts the next attempt at once. `hedge: off`: nothing else would before the attempt's timeout ends."""
        self.begin(conf="policy: ordered, hedge: off")
        rule = f"ip daddr {self.ips[0]} udp dport 53 reject with icmp type {kind}"
        self.network.filter(rule)
        with self.within(AT_ONCE_S):
            self.expect(ask(self.fwd, "www.corp.test"), ips=WWW)
        self.fwd_says(self.fwd, "the network says it is unreachable")
        self.network.filter()
        self.check_loaded(rule)

    def test_admin_prohibited_is_understood(self):
        self.check_rejected("admin-prohibited")

    def test_host_unreachable_is_understood(self):
        self.check_rejected("host-unreachable")

    def test_loss_of_30_percent_towards_one_az_costs_no_query(self):
        self.begin()
        self.check_loaded(f"ip daddr {self.ips[0]} numgen random mod 100 < 30 drop", seconds=3)

    def test_unplugged_az_costs_no_query(self):
        """The router has no neighbour there any more; after some seconds it says so with ICMP."""
        self.begin()
        load = self.load(self.fwd, lambda i: f"q{i}.wild.corp.test", 200)
        self.go_on(load, 0.5)
        self.network.azs[0].ip("link", "set", "eni", "down")
        self.go_on(load, 3)
        self.check_all_well(load.finish())


class WholePath(Path):
    def test_cut_path_and_back(self):
        """Known names are served stale, others told at once, and all is well again when the path is."""
        self.begin()
        known = [f"k{i}.fleeting.corp.test" for i in range(10)]
        for name in known:
            self.expect(ask(self.fwd, name))
        load = self.load(self.fwd, lambda i: known[i // 2 % 10] if i % 2 else f"q{i}.wild.corp.test", 100)
        self.go_on(load, 1.2)
        self.network.filter("drop")
        cut = time.monotonic()
        self.fwd_says(self.fwd, "seoul is down")
        noticed = time.monotonic()
        self.go_on(load, 1.2)
        with self.within(AT_ONCE_S):
            self.expect(ask(self.fwd, known[0]), ips=["10.20.1.9"], ede_code=3)
        with self.within(AT_ONCE_S):
            response = self.expect(ask(self.fwd, "odd.corp.test", "TYPE65400"), "SERVFAIL", ede_code=22)
        self.assertIn("seoul", dict(ede(response))[22])
        self.network.filter()
        healed = time.monotonic()
        self.fwd_says(self.fwd, "seoul is up again")
        back = time.monotonic()
        self.go_on(load, 1)
        sent = load.finish()
        self.assertEqual(unanswered(sent), [], summary(sent))
        self.assertLess(slowest(sent), HARD_BOUND_S + AT_ONCE_S, summary(sent))
        of_known = [q for q in sent if q.name in known]
        self.assertEqual(failed(of_known), [], summary(of_known))
        self.assertLess(slowest(of_known), STALE_AFTER_S + AT_ONCE_S)
        down = [q for q in sent if noticed < q.at < healed]
        self.assertLess(slowest(down), AT_ONCE_S, summary(down))
        sound = [q for q in sent if q.at + (q.took or 0) < cut or q.at > back]
        self.assertEqual(failed(sound), [], summary(sound))

    def test_path_that_is_rejected_is_ede_23(self):
        self.begin()
        self.network.filter("meta l4proto udp reject with icmp type admin-prohibited", "drop")
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            response = self.expect(ask(self.fwd, "www.corp.test"), "SERVFAIL", ede_code=23)
        self.assertIn("seoul", dict(ede(response))[23])
        self.network.filter()
        wait_for(lambda: addresses(ask(self.fwd, "v6.corp.test", "AAAA")), patience_s=10, what="coming back")

    def test_loss_everywhere_leaves_nobody_without_an_answer(self):
        """10 % of packets, either way and in every AZ. No part is known to be good, so some answers may be SERVFAIL: held to the
        bound only."""
        self.begin()
        load = self.load(self.fwd, lambda i: f"q{i}.wild.corp.test", 200)
        self.go_on(load, 0.5)
        self.network.filter("numgen random mod 100 < 10 drop")
        self.go_on(load, 3)
        self.network.filter()
        sent = load.finish()
        self.assertEqual(unanswered(sent), [], summary(sent))
        self.assertLess(slowest(sent), HARD_BOUND_S + AT_ONCE_S, summary(sent))


@unittest.skipUnless(shutil.which("unbound", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"), "skipped: unbound is not installed")
class Loop(Path):
    """A rule in the VPC sends a zone back on premises: what we ask of the endpoint there comes back to us from it."""

    LOOPED = ("looped.internal", "second.internal")

    def start_unbound(self, name, looped):
        """In az3: sends the zones back to us, or knows them itself."""
        own = "".join(f"  local-zone: {zone} redirect\n  local-data: '{zone} A 10.20.1.7'\n" for zone in self.LOOPED)
        back = "".join(f"forward-zone:\n  name: {zone}\n  forward-addr: 10.9.0.2\n" for zone in self.LOOPED)
        lines = "  num-threads: 1\n  log-queries: yes\n" + ("" if looped else own)
        at = Address(self.ips[2], 5300, "az3")
        with self.network.azs[2].inside():
            return self.stage.add(Unbound(self.stage.folder, rest=back if looped else "", at=at, server_lines=lines, name=name))

    def start(self, looped):
        """We serve 10.9.0.2; tokyo is the Unbound in az3."""
        self.unbound = self.start_unbound("unbound1", looped)
        self.begin()
        self.stage.programs.remove(self.fwd)
        self.assertEqual(self.fwd.stop(), 0)
        tokyo = f"  tokyo: {{addresses: [{{ip: {self.unbound.ip}, port: {self.unbound.port}, az: az3}}]}}\n"
        zones = [ROUTE] + [f"{{name: {zone}, to: tokyo}}" for zone in self.LOOPED]
        self.fwd = self.forwarder(zones_conf([endpoint_conf(self), tokyo], zones), name="looping", at=Address("10.9.0.2", 53, None))

    def check_found(self):
        self.fwd_says(self.fwd, "a loop: what is asked of tokyo comes back from 10.20.3.10")
        # Whoever brings it back is refused, and told why; it is counted.
        with self.network.azs[2].inside(), self.within(AT_ONCE_S):
            response = self.expect(ask(self.fwd, "www.looped.internal"), "REFUSED")
        self.assertIn("a loop", dict(ede(response))[0])
        self.assertGreater(self.fwd.status(expect=None)["metrics"]["r53fwd_loops_total"], 0)
        # Nobody else is: they hear of what the endpoint does, and of other zones as ever.
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            self.assertNotEqual(raw(self.fwd, make_query("www.looped.internal").to_wire(), timeout=HARD_BOUND_S + AT_ONCE_S), None)
        self.expect(ask(self.fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(self.fwd.text().count("a loop:"), 1)

    def test_loop_that_is_there_from_the_start_is_named_once(self):
        self.start(looped=True)
        self.check_found()

    def test_loop_that_begins_while_we_serve_is_named_though_the_endpoint_looks_dead(self):
        """Probes run in the same circle: by the time that somebody looks for a loop, no address answers any more."""
        self.start(looped=False)
        self.expect(ask(self.fwd, "well.looped.internal"), ips=["10.20.1.7"])
        wait_for(lambda: "r53fwd-loop" in self.unbound.text(), what="the first look for a loop")
        self.stage.programs.remove(self.unbound)
        self.unbound.stop()
        self.unbound = self.start_unbound("unbound2", True)
        raw(self.fwd, make_query("new.looped.internal").to_wire(), timeout=HARD_BOUND_S + AT_ONCE_S)
        self.check_found()


class Mtu(Path):
    """A VPN of MTU 1400 that drops fragments: 1232 octets pass in one piece, all else goes over TCP."""

    def setUp(self):
        super().setUp()
        self.network.prem.ip("link", "set", "dx", "mtu", "1400")
        self.network.router.ip("link", "set", "prem", "mtu", "1400")

    def test_large_answers_arrive(self):
        self.begin()
        self.assertGreater(len(self.ask_nsd("big.corp.test", 4096)), 2000)  # in pieces, which still pass
        self.network.filter("ip frag-off & 0x3fff != 0 drop")
        # The scene is what it says: past the forwarder, what fits arrives, and what does not, does not.
        fits = self.ask_nsd("fits.corp.test", 1232)
        self.assertGreater(len(fits), 1100)
        self.assertFalse(dns.message.from_wire(fits).flags & dns.flags.TC)
        self.assertIsNone(self.ask_nsd("big.corp.test", 4096))
        for _ in range(2):
            response = self.expect(ask(self.fwd, "fits.corp.test", "TXT"))
            self.assertEqual(len(response.answer[0]), 9)
            response = self.expect(ask(self.fwd, "big.corp.test", "TXT", tcp=True))
            self.assertEqual(len(response.answer[0]), 24)
            response = self.expect(ask(self.fwd, "huge.corp.test", tcp=True))
            self.assertEqual(len(response.answer[0]), 1000)
            self.expect(ask(self.fwd, "huge.corp.test", edns=4096), tc=True)
        self.expect(ask(self.fwd, "www.corp.test"), ips=WWW)
        self.assertNotIn("suspect", self.fwd.text())

    def ask_nsd(self, name, edns):
        return raw(self.nsds[0], make_query(name, "TXT", edns=edns).to_wire(), timeout=0.5)


if __name__ == "__main__":
    reason = obstacle()
    if reason:
        print(f"skipped: {reason}")
        raise SystemExit(SKIPPED)
    main()
