# SPDX-License-Identifier: Apache-2.0
"""What an operator dreads, with real programs under a steady load: an AZ gone, the path gone, reloads, stops, a resolv.conf that
changes under us, ports that are taken. What counts is that clients lose nothing; times are held to the contract's bounds only."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

import dns.rcode

from lib import (
    AT_ONCE_S,
    CORP,
    LOOPBACK,
    PATIENCE_S,
    R53FWD,
    THREAD_SANITIZER,
    Address,
    Case,
    Program,
    addresses,
    ask,
    ede,
    endpoint_conf,
    main,
    make_query,
    raw,
    rcode,
    read_frame,
    wait_for,
    zones_conf,
)
from load import Loaded, failed, slowest, summary, unanswered

# As CORP, and any name below `fleeting` lives for a second.
ZONE = CORP + "*.fleeting 1 A 10.20.1.9\n"
ROUTE = "{name: corp.test, to: seoul}"

# No query takes longer than this, and known names are answered stale after that (contract, sections 2 and 3).
HARD_BOUND_S = 4
STALE_AFTER_S = 1.8


def new_name(i):
    """A name that nobody has asked for: no cache knows it."""
    return f"q{i}.wild.corp.test"


class Outage(Loaded):
    def test_one_silent_az_of_three_costs_no_query(self):
        fwd, sim, _ = self.serve(endpoint="policy: spread", zones=[ROUTE])
        load = self.load(fwd, new_name, 300)
        self.go_on(load, 1)
        sim.ctl(0, "silent")
        self.go_on(load, 6)
        sent = load.finish()
        self.assertEqual(failed(sent), [], summary(sent))
        self.assertLess(slowest(sent), 1, summary(sent))

    def test_path_that_breaks_and_comes_back(self):
        """Every second query is for a name that was known before. Nobody waits beyond the bounds; once the endpoint is known to be
        down nobody waits at all; once it is back all is as it was."""
        sim = self.sim(zones=[ZONE])
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], [ROUTE], self.world()))
        known = [f"k{i}.fleeting.corp.test" for i in range(20)]
        for name in known:
            self.expect(ask(fwd, name))
        load = self.load(fwd, lambda i: known[i // 2 % 20] if i % 2 else new_name(i), 100)
        self.go_on(load, 1.5)
        sim.ctl("all", "silent")
        cut = time.monotonic()
        self.fwd_says(fwd, "seoul is down")
        noticed = time.monotonic()
        self.go_on(load, 1.5)
        self.check_down_endpoint(fwd, known[0])
        healed = time.monotonic()
        sim.ctl("all", "heal")
        self.fwd_says(fwd, "seoul is up again")
        back = time.monotonic()
        self.go_on(load, 1)
        sent = load.finish()
        self.assertEqual(unanswered(sent), [], summary(sent))
        self.assertLess(slowest(sent), HARD_BOUND_S + AT_ONCE_S, summary(sent))
        stale_or_fresh = [q for q in sent if q.name in known]
        self.assertEqual(failed(stale_or_fresh), [])
        self.assertLess(slowest(stale_or_fresh), STALE_AFTER_S + AT_ONCE_S)
        down = [q for q in sent if noticed < q.at < healed]
        self.assertLess(slowest(down), AT_ONCE_S, summary(down))
        self.assertEqual({q.rcode for q in down if q.name not in known}, {"SERVFAIL"})
        sound = [q for q in sent if q.at + (q.took or 0) < cut or q.at > back]
        self.assertEqual(failed(sound), [], summary(sound))

    def check_down_endpoint(self, fwd, known):
        with self.within(AT_ONCE_S):
            response = self.expect(ask(fwd, known), ips=["10.20.1.9"], ede_code=3)
        self.assertEqual(response.answer[0].ttl, 30)
        with self.within(AT_ONCE_S):
            response = self.expect(ask(fwd, "odd.corp.test", "TYPE65400"), "SERVFAIL", ede_code=22)
        self.assertIn("seoul", dict(ede(response))[22])

    def test_reason_names_the_endpoint_and_each_address_with_its_az(self):
        fwd, sim, _ = self.serve(zones=[ROUTE])
        self.expect(ask(fwd, "never.corp.test"))
        sim.ctl("all", "silent")
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            response = self.expect(ask(fwd, "www.corp.test"), "SERVFAIL", ede_code=22)
        text = dict(ede(response))[22]
        for word in ("seoul", *(a.ip for a in sim.addresses), *(a.az for a in sim.addresses)):
            self.assertIn(word, text)

    def test_local_upstreams_that_are_known_to_be_down_keep_nobody_waiting(self):
        """But for one question in 30 s, which finds out whether they are."""
        fwd, _, world = self.serve(zones=[ROUTE])
        self.expect(ask(fwd, "www.example"), ips=["192.0.2.80"])
        world.ctl("all", "silent")
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            self.expect(ask(fwd, "before.example"), "SERVFAIL", ede_code=22)
        self.fwd_says(fwd, "the local upstreams are down")
        waited = 0
        for i in range(5):
            begun = time.monotonic()
            self.expect(ask(fwd, f"after{i}.example"), "SERVFAIL", ede_code=22)
            waited += time.monotonic() - begun > AT_ONCE_S
        self.assertLessEqual(waited, 1)
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "www.example"), ips=["192.0.2.80"])
        world.ctl("all", "heal")
        wait_for(lambda: ask(fwd, "elsewhere.example").rcode() == dns.rcode.NOERROR, patience_s=30, what="their return")

    def test_second_endpoint_takes_over_and_hands_back(self):
        seoul, world = self.sim(zones=[ZONE], count=2), self.world()
        tokyo = self.sim(zones=[ZONE.replace("10.20.", "10.30.")], count=2, name="tokyo")
        endpoints = [endpoint_conf(seoul), endpoint_conf(tokyo, "tokyo")]
        fwd = self.forwarder(zones_conf(endpoints, ["{name: corp.test, to: [seoul, tokyo]}"], world))
        load = self.load(fwd, new_name, 50)

        def answers_with(ip):
            return lambda: load.check() and addresses(ask(fwd, "never.corp.test")) == [ip]

        wait_for(answers_with("10.20.1.4"))
        self.assertEqual(tokyo.count("never.corp.test", "A"), 0)
        seoul.ctl("all", "silent")
        wait_for(answers_with("10.30.1.4"), patience_s=30, what="the second endpoint's taking over")
        self.go_on(load, 1)
        seoul.ctl("all", "heal")
        wait_for(answers_with("10.20.1.4"), patience_s=40, what="the first endpoint's return")
        self.go_on(load, 1)
        sent = load.finish()
        self.assertEqual(failed(sent), [], summary(sent))
        self.assertLess(slowest(sent), HARD_BOUND_S, summary(sent))


def is_served(at):
    """Over TCP, which tells an open port from a closed one."""
    with contextlib.suppress(ConnectionRefusedError):
        return rcode(raw(at, make_query("localhost").to_wire(), tcp=True)) is not None
    return False


class Reload(Loaded):
    """Reload changes everything but `workers` and `control`; listeners that stay the same are never reopened, a removed one is
    drained to the last packet. A file that does not load never replaces one that did."""

    BURST = 20

    def begin(self):
        """Twenty questions on their way through a listener that is about to go, over UDP and over TCP."""
        at = self.extra
        # What is loaded need not be listening yet: its workers do that a moment later.
        wait_for(lambda: is_served(at), what="listening")
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        for s in (udp, tcp):
            self.addCleanup(s.close)
            s.settimeout(5)
            s.connect((at.ip, at.port))
        for i in range(self.BURST):
            self.asked += 1
            octets = make_query(f"b{self.asked}.wild.corp.test", id=i).to_wire()
            udp.send(octets)
            tcp.sendall(len(octets).to_bytes(2, "big") + octets)
        return udp, tcp

    def end(self, udp, tcp):
        for receive in (lambda: udp.recv(4096), lambda: read_frame(tcp)):
            got = [receive() for _ in range(self.BURST)]
            self.assertEqual({rcode(octets) for octets in got}, {"NOERROR"})
            self.assertEqual(sorted(int.from_bytes(octets[:2], "big") for octets in got), list(range(self.BURST)))

    def reload(self, conf, words, times):
        self.fwd.reload(conf)
        self.fwd_says(self.fwd, words, times)

    def test_twenty_reloads_under_load_lose_nothing(self):
        self.fwd, sim, world = self.serve(endpoint="policy: spread", zones=[ROUTE], faults=["all,delay 20ms"])
        self.asked = 0
        conf = zones_conf([endpoint_conf(sim)], [ROUTE], world)
        load = self.load(self.fwd, lambda i: new_name(i) if i % 2 else "www.corp.test", 500)
        ip = LOOPBACK.ip()
        self.extra = Address(ip, LOOPBACK.port(ip), None)
        for i in range(10):
            # With another listener and another zone …
            self.fwd.more = [f"{self.extra.ip}:{self.extra.port}"]
            two = zones_conf([endpoint_conf(sim)], [ROUTE, f"{{name: z{i}.test, to: seoul}}"], world)
            self.reload(two, "loaded: 2 zones", i + 1)
            burst = self.begin()
            # … and without.
            self.fwd.more = []
            self.reload(conf, "loaded: 1 zone", i + 1)
            self.end(*burst)
        for i, nonsense in enumerate(("zones: [", "zones: nonsense\n", "")):
            self.reload(nonsense, "everything stays as it was", i + 1)
        self.go_on(load, 0.5)
        sent = load.finish()
        self.assertEqual(failed(sent), [], summary(sent))
        self.assertLess(slowest(sent), 1, summary(sent))
        wait_for(lambda: not is_served(self.extra), what="the end of the other listener")

    def test_reload_asked_for_during_the_start_ends_nothing(self):
        """It waits for its configuration when the signal comes."""
        at = Address(LOOPBACK.ip(), 0, None)
        pipe = os.path.join(self.stage.folder, "pipe")
        os.mkfifo(pipe)
        fwd = self.stage.add(Program("early", self.stage.folder, [R53FWD, "--zones", pipe]))
        with open(pipe, "w", encoding="ascii") as file:  # once it reads
            fwd.signal(signal.SIGHUP)
            file.write(f"listen: ['{at.ip}:{LOOPBACK.port(at.ip)}']\nzones: []\ncontrol: {self.stage.folder}/control\n")
        wait_for(lambda: fwd.check_alive() or " serves: " in fwd.text(), what="the start")
        wait_for(lambda: "was not loaded" in fwd.text(), what="the reload, which finds no file")
        self.assertEqual(fwd.stop(), 0)

    def test_reload_to_a_port_in_use_leaves_all_as_it_was(self):
        self.fwd, sim, world = self.serve(zones=[ROUTE])
        with taken(socket.SOCK_DGRAM) as (ip, port):
            self.fwd.more = [f"{ip}:{port}"]
            self.reload(zones_conf([endpoint_conf(sim)], ["{name: hasty.test, to: seoul}"], world), "everything stays as it was", 1)
        self.assertIn(f"{ip}:{port}", self.fwd.text())
        self.expect(ask(self.fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])


class Stop(Case):
    def test_what_was_asked_before_sigterm_is_answered_before_the_end(self):
        """The kernel may still hold some of the questions when the signal comes."""
        fwd, _, _ = self.serve(endpoint="policy: spread", zones=[ROUTE], faults=["all,delay 100ms"])
        sockets = []
        for i in range(8):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(s.close)
            s.settimeout(5)
            s.connect((fwd.ip, fwd.port))
            sockets.append(s)
        tcp = socket.create_connection((fwd.ip, fwd.port), timeout=5)
        self.addCleanup(tcp.close)
        for name in ("localhost", "www.corp.test"):
            octets = make_query(name).to_wire()
            tcp.sendall(len(octets).to_bytes(2, "big") + octets)
            if name == "localhost":
                self.assertEqual(rcode(read_frame(tcp)), "NOERROR")  # so a worker has accepted the connection
        for i in range(160):
            sockets[i % 8].send(make_query(new_name(i), id=i).to_wire())
        fwd.signal(signal.SIGTERM)
        got = [s.recv(4096) for s in sockets for _ in range(20)]
        self.assertEqual(sorted(int.from_bytes(octets[:2], "big") for octets in got), list(range(160)))
        self.assertEqual({rcode(octets) for octets in got}, {"NOERROR"})
        self.assertEqual(rcode(read_frame(tcp)), "NOERROR")
        self.assertEqual(fwd.wait(), 0)

    def test_a_silent_endpoint_does_not_hold_up_the_end(self):
        fwd, sim, _ = self.serve(zones=[ROUTE], faults=["all,silent"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, self.within(HARD_BOUND_S + 2):
            s.settimeout(HARD_BOUND_S + AT_ONCE_S)
            s.connect((fwd.ip, fwd.port))
            s.send(make_query("www.corp.test").to_wire())
            wait_for(lambda: sim.count("www.corp.test", "A"))
            fwd.signal(signal.SIGTERM)
            self.assertEqual(rcode(s.recv(4096)), "SERVFAIL")
            self.assertEqual(fwd.wait(), 0)

    def test_client_that_reads_slowly_gets_the_rest_before_the_end(self):
        """More than the kernel takes for it, whose segments and window are small: what is left waits in our memory, which is less than the
        1 MiB that a client may leave there."""
        answers = 17
        huge = CORP + "".join(f"huge A 10.21.{i // 250}.{i % 250}\n" for i in range(3500))
        sim = self.sim(zones=[huge], faults=["all,delay 100ms"])
        fwd = self.forwarder(zones_conf([endpoint_conf(sim, extra="transport: tcp")], [ROUTE]))
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            s.settimeout(5)
            s.connect((fwd.ip, fwd.port))
            octets = make_query("huge.corp.test").to_wire()
            s.sendall((len(octets).to_bytes(2, "big") + octets) * answers)
            self.assertTrue(s.recv(1, socket.MSG_PEEK))  # all are answered by now, for they waited for one
            fwd.signal(signal.SIGTERM)
            with self.assertRaises(subprocess.TimeoutExpired):
                fwd.wait(0.5)  # it waits for us
            for _ in range(answers):
                answer = read_frame(s)
                self.assertEqual(rcode(answer), "NOERROR")
                self.assertGreater(len(answer), 56000)
            self.assertIsNone(read_frame(s))
        self.assertEqual(fwd.wait(), 0)

    def test_sigterm_while_nothing_goes_on_ends_at_once(self):
        fwd, _, _ = self.serve(zones=[ROUTE])
        ask(fwd, "www.corp.test", tcp=True)
        with self.within(2 + 3 * THREAD_SANITIZER), socket.create_connection((fwd.ip, fwd.port), timeout=5):
            fwd.signal(signal.SIGTERM)
            self.assertEqual(fwd.wait(), 0)


def may_serve_53():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind((LOOPBACK.ip(), 53))
        except OSError:
            return False
    return True


def world_of(ip):
    return f"$ORIGIN .\n. 86400 SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400\nwww.example. 0 A {ip}\n"


@unittest.skipUnless(may_serve_53(), "skipped: resolv.conf has no ports, and port 53 is not ours to take")
class ResolvConf(Case):
    """By default the nameservers of resolv.conf that are someone other than ourselves; watched. A change that leaves none keeps
    the last list and warns."""

    ONE, TWO = "192.0.2.11", "192.0.2.22"

    def setUp(self):
        super().setUp()
        self.at = Address(LOOPBACK.ip(), 53, None)
        self.one, self.two = (
            self.sim(zones=[world_of(ip)], at=[Address(LOOPBACK.ip(), 53, "az1")], name=f"local{ip[-2:]}")
            for ip in (self.ONE, self.TWO)
        )
        self.path = os.path.join(self.stage.folder, "resolv.conf")

    def write(self, *ips, path=None, replace=True):
        """In one step, as nobody may see the half of it; else into the file that is there."""
        path = path or self.path
        with open(path + ".next" if replace else path, "w", encoding="ascii") as file:
            file.write("# ours\nsearch example\n" + "".join(f"nameserver {ip}\n" for ip in ips) + "options edns0\n")
        if replace:
            os.replace(path + ".next", path)

    def start(self):
        conf = "zones: []\n"
        self.fwd = self.forwarder(conf, at=self.at, env={"R53FWD_RESOLV_CONF": self.path})

    def follows(self, ip):
        wait_for(lambda: addresses(ask(self.fwd, "www.example")) == [ip], patience_s=8, what=f"going over to {ip}")

    def test_every_way_of_changing_it_is_followed(self):
        self.write(self.one.addresses[0].ip)
        self.start()
        self.follows(self.ONE)
        self.write(self.two.addresses[0].ip, replace=False)  # rewritten
        self.follows(self.TWO)
        self.write(self.one.addresses[0].ip, path=self.path + ".new")
        os.rename(self.path + ".new", self.path)  # replaced
        self.follows(self.ONE)
        self.write(self.two.addresses[0].ip, path=self.path + ".other")
        os.unlink(self.path)
        os.symlink(self.path + ".other", self.path)  # a link to another
        self.follows(self.TWO)

    def test_a_change_that_leaves_none_keeps_the_last_list(self):
        self.write(self.one.addresses[0].ip)
        self.start()
        self.follows(self.ONE)

        def warned():
            return self.fwd.text().count("the last local upstreams are kept")

        def emptied():
            with open(self.path, "w", encoding="ascii"):
                pass

        # Each is seen (it says so once for each), and the old list still serves; in between, a good file takes the warning back.
        for i, change in enumerate((emptied, lambda: os.unlink(self.path), lambda: self.write(self.at.ip))):
            change()
            wait_for(lambda n=i + 1: warned() == n, patience_s=8, what="the warning")
            self.follows(self.ONE)
            self.write(self.two.addresses[0].ip)
            self.follows(self.TWO)
            self.write(self.one.addresses[0].ip)
            self.follows(self.ONE)

    def test_a_reload_keeps_the_last_list_as_well(self):
        """The host was switched over to us, which is what resolv.conf says now."""
        self.write(self.one.addresses[0].ip)
        self.start()
        self.follows(self.ONE)
        self.write(self.at.ip)
        wait_for(lambda: "the last local upstreams are kept" in self.fwd.text(), patience_s=8, what="the warning")
        for i in range(2):
            self.fwd.signal(signal.SIGHUP)
            wait_for(lambda n=i + 1: self.fwd.text().count(" loaded: ") == n, what="the reload")
            self.expect(ask(self.fwd, f"n{i}.example"), "NXDOMAIN")
            self.expect(ask(self.fwd, "www.example"), ips=[self.ONE])

    def test_ourselves_are_never_adopted(self):
        self.write(self.at.ip, self.two.addresses[0].ip)
        self.start()
        self.follows(self.TWO)
        self.write(self.at.ip, self.one.addresses[0].ip)
        self.follows(self.ONE)
        for i in range(20):
            self.expect(ask(self.fwd, "www.example"), ips=[self.ONE])
        self.assertNotIn("a loop", self.fwd.text())

    def test_a_file_that_comes_late_is_taken(self):
        self.start()
        response = self.expect(ask(self.fwd, "www.example"), "SERVFAIL")
        self.assertTrue(ede(response))
        self.write(self.one.addresses[0].ip)
        self.follows(self.ONE)


@contextlib.contextmanager
def taken(kind, *options):
    """Somebody else's socket: yields where it sits."""
    ip = LOOPBACK.ip()
    port = LOOPBACK.port(ip)
    with socket.socket(socket.AF_INET, kind) as s:
        for option in options:
            s.setsockopt(socket.SOL_SOCKET, option, 1)
        s.bind((ip, port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        yield ip, port


class Refused(Case):
    """exit status 1: cannot start; any failure ends the program with one clear sentence."""

    def check_refused(self, where, *words, argv=(R53FWD,)):
        conf = os.path.join(self.stage.folder, "refused.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"listen: ['{where}']\nlocal-upstreams: ['127.0.0.1:1']\nzones: []\n")
        run = subprocess.run([*argv, "--zones", conf], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, ""), run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        for word in (where, *words):
            self.assertIn(word, run.stderr)

    def test_port_that_is_taken_over_udp_only(self):
        for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
            with taken(socket.SOCK_DGRAM, *options) as (ip, port):
                self.check_refused(f"{ip}:{port}", "UDP", "in use")

    def test_port_that_is_taken_over_tcp_only(self):
        for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
            with taken(socket.SOCK_STREAM, *options) as (ip, port):
                self.check_refused(f"{ip}:{port}", "TCP", "in use")

    def test_port_that_is_taken_by_a_wildcard(self):
        with taken(socket.SOCK_DGRAM) as (ip, port):
            self.check_refused(f"0.0.0.0:{port}", "UDP", "in use")

    def test_port_that_another_instance_serves(self):
        fwd, _, _ = self.serve(zones=[ROUTE])
        self.check_refused(f"{fwd.ip}:{fwd.port}", "in use")
        for _ in range(20):
            self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])

    def test_address_that_no_interface_has(self):
        self.check_refused("192.0.2.1:5300", "no interface")

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root can become nobody")
    def test_port_53_without_permission(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            if int(file.read()) <= 53:
                self.skipTest("skipped: here everybody may serve port 53")
        setpriv = shutil.which("setpriv")
        if not setpriv:
            self.skipTest("skipped: setpriv is not installed")
        os.chmod(self.stage.folder, 0o755)
        own = shutil.copy(R53FWD, self.stage.folder)
        argv = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", own]
        self.check_refused(f"{LOOPBACK.ip()}:53", "CAP_NET_BIND_SERVICE", argv=argv)


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("::1", 0))
        return True
    return False


def port6():
    """A port of ::1 that is free over UDP and TCP."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET6) as tcp:
        udp.bind(("::1", 0))
        tcp.bind(("::1", udp.getsockname()[1]))
        return udp.getsockname()[1]


class Families(Case):
    @unittest.skipUnless(has_ipv6(), "skipped: no IPv6 here")
    def test_ipv6_on_both_sides(self):
        sim = self.sim(at=[Address("[::1]", port6(), f"az{i}") for i in range(3)])
        world = self.sim(zones=[world_of("192.0.2.80")], at=[Address("[::1]", port6(), "local")], name="world")
        listed = ", ".join(f"{{ip: '::1', port: {a.port}, az: {a.az}}}" for a in sim.addresses)
        conf = (
            f"inbound-endpoints: {{seoul: {{addresses: [{listed}]}}}}\nzones:\n  - {ROUTE}\n"
            f"local-upstreams: ['[::1]:{world.addresses[0].port}']\n"
        )
        six = Address("::1", port6(), None)
        fwd = self.forwarder(conf, more=[f"[::1]:{six.port}"])
        for tcp in (False, True):
            self.expect(ask(six, "v6.corp.test", "AAAA", tcp=tcp), ips=["fd00:20::1"])
            self.expect(ask(six, "www.example", tcp=tcp), ips=["192.0.2.80"])
        self.expect(ask(six, "big.corp.test", "TXT"), tc=True)
        self.assertEqual(len(ask(six, "big.corp.test", "TXT", tcp=True).answer[0]), 24)
        # The kernel's ICMPv6 errors are understood as well.
        sim.ctl(0, "closed")
        sim.ctl(1, "closed")
        for i in range(10):
            with self.within(AT_ONCE_S):
                self.expect(ask(six, new_name(i)), ips=["10.20.1.6"])
        sim.ctl("all", "closed")
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            self.expect(ask(fwd, "odd.corp.test", "TYPE65400"), "SERVFAIL", ede_code=23)

    def test_wildcard_answers_from_the_address_that_was_asked(self):
        """The client's socket is connected: an answer from elsewhere would not reach it."""
        sim = self.sim()
        port = LOOPBACK.port("0.0.0.0")
        more = [f"0.0.0.0:{port}"] + ([f"[::]:{port}"] if has_ipv6() else [])
        self.forwarder(zones_conf([endpoint_conf(sim)], [ROUTE]), more=more)
        ips = [LOOPBACK.ip() for _ in range(5)] + ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
        for i, ip in enumerate(ips):
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.connect((ip, port))
                for name in ("www.corp.test", new_name(i)):  # from the cache, and from upstream
                    s.send(make_query(name).to_wire())
                    self.assertEqual(rcode(s.recv(4096)), "NOERROR", ip)
            self.expect(ask(Address(ip, port, None), "www.corp.test", tcp=True))

    def listen(self, fwd, conf, *where):
        with open(fwd.conf, "w", encoding="utf-8") as file:
            file.write(f"listen: {list(where)}\n{conf}control: {fwd.control}\n")
        fwd.command("reload")

    def test_reload_loses_nobody_while_an_answer_is_owed(self):
        """The socket is there until the last reply has left, and the kernel prefers it to a wildcard's."""
        world = self.world()
        conf = zones_conf([endpoint_conf(self.sim())], [ROUTE], world)
        fwd = self.forwarder(conf, at=Address(LOOPBACK.ip(), LOOPBACK.port("0.0.0.0"), None))
        here, elsewhere = f"{fwd.ip}:{fwd.port}", f"{LOOPBACK.ip()}:{fwd.port}"
        world.ctl("all", "silent")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as owed:
            owed.settimeout(HARD_BOUND_S + AT_ONCE_S)
            owed.connect((fwd.ip, fwd.port))
            owed.send(make_query("nobody.answers.example").to_wire())
            self.listen(fwd, conf, f"0.0.0.0:{fwd.port}")
            for _ in range(20):
                self.assertIsNotNone(raw(fwd, make_query("localhost").to_wire(), timeout=AT_ONCE_S))
            for _ in range(2):
                self.listen(fwd, conf, elsewhere)
            self.listen(fwd, conf, elsewhere, here)
            for _ in range(20):
                self.assertIsNotNone(raw(fwd, make_query("localhost").to_wire(), timeout=AT_ONCE_S))
            self.assertEqual(rcode(owed.recv(4096)), "SERVFAIL")


class Sniffer:
    """UDP packets between loopback sockets, as the kernel carries them. lo shows each twice: as it leaves and as it arrives."""

    def __init__(self, *servers):
        self.ends = {(socket.inet_aton(s.ip), s.port) for s in servers}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.bind(("lo", 0x0800))

    def packets(self, least=0, seconds=0.5):
        """The `least` that are to come, and what follows within the time; lo may be busy with others' packets all the while."""
        found = []
        deadline = time.monotonic() + (PATIENCE_S if least else seconds)
        with contextlib.suppress(TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                octets, where = self.socket.recvfrom(65535)
                if where[2] == socket.PACKET_OUTGOING or octets[9] != socket.IPPROTO_UDP:
                    continue
                source, destination = struct.unpack("!HH", octets[20:24])
                if (octets[12:16], source) in self.ends or (octets[16:20], destination) in self.ends:
                    found.append(octets[28:])
                    if len(found) == least:
                        deadline = time.monotonic() + seconds
        return found


class Twins(Case):
    """Two instances must never get into a conversation of their own."""

    def test_a_response_draws_no_packet(self):
        fwd, sim, _ = self.serve(zones=[ROUTE])
        bodies = [b"", b"\3www\4corp\4test\0\0\1\0\1", b"\xff" * 40]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            s.connect((fwd.ip, fwd.port))
            for opcode in range(16):
                for body in bodies:
                    for code in (0, 1, 2, 5):
                        s.send(struct.pack("!6H", 1, 0x8000 | opcode << 11 | code, 1, 0, 0, 0) + body)
            with self.assertRaises(TimeoutError):
                s.recv(4096)
            # It has seen them all, and is well.
            s.settimeout(5)
            s.send(make_query("localhost", id=99).to_wire())
            self.assertEqual(s.recv(4096)[:2], b"\0\x63")
        self.assertEqual(sim.count("www.corp.test", "A"), 0)

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root can forge an address and watch the wire")
    def test_a_forged_query_from_one_to_the_other_is_one_exchange(self):
        conf = "local-upstreams: ['127.0.0.1:1']\nzones: []\n"
        a, b = self.forwarder(conf), self.forwarder(conf, name="twin")
        for octets in (make_query("localhost").to_wire(), b"\0\1\1\0" + bytes(8), b"\0\1\x20\0" + bytes(8)):
            sniffer = Sniffer(a, b)
            self.addCleanup(sniffer.socket.close)
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
                udp = struct.pack("!HHHH", a.port, b.port, 8 + len(octets), 0) + octets
                there = socket.inet_aton(b.ip)
                here = socket.inet_aton(a.ip)
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, here, there)
                s.sendto(ip + udp, (b.ip, 0))
            query, response = sniffer.packets(least=2)
            self.assertEqual(query, octets)
            self.assertTrue(response[2] & 0x80)

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root can watch the wire")
    def test_two_that_forward_to_each_other_do_not_run_away(self):
        """| a query that comes back to us through an upstream (a loop) | REFUSED with an EDE text, logged once, counted; the daemon goes
        on |"""
        at = [Address(ip, LOOPBACK.port(ip), None) for ip in (LOOPBACK.ip(), LOOPBACK.ip())]
        a, b = (
            self.forwarder(f"local-upstreams: ['{at[1 - i].ip}:{at[1 - i].port}']\nzones: []\n", at=at[i], name=f"twin{i}")
            for i in (0, 1)
        )
        sniffer = Sniffer(a, b)
        self.addCleanup(sniffer.socket.close)
        with self.within(HARD_BOUND_S + AT_ONCE_S):
            response = ask(a, "www.example")
        self.assertIn(dns.rcode.to_text(response.rcode()), ("REFUSED", "SERVFAIL"))
        # Both are probed as silent servers are, and asked on, for some 5 s: 34 to 125 packets were seen. A flood has thousands.
        self.assertLess(len(sniffer.packets(seconds=1)), 300)
        for fwd in (a, b):
            self.expect(ask(fwd, "localhost"))


if __name__ == "__main__":
    main()
