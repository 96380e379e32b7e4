# SPDX-License-Identifier: Apache-2.0
"""The forwarder between servers and clients that we did not write: three NSD as the private side, Unbound as the local one, and
dig, kdig, drill, delv and host in front."""

import collections
import glob
import os
import shutil
import signal
import subprocess

import dns.flags
import dns.rcode
import dns.rdatatype

from lib import (
    AT_ONCE_S,
    SOA,
    Case,
    Nsd,
    Unbound,
    addresses,
    ask,
    ede,
    endpoint_conf,
    find_program,
    main,
    wait_for,
    zones_conf,
)

ROUTE = "{name: corp.test, to: seoul}"

PRIVATE = f"""
$ORIGIN corp.test.
$TTL 60
@        900 SOA   {SOA} 86400
@            NS    ns-0.awsdns-00.com.
www          A     10.20.1.1
www          A     10.20.1.2
v6           AAAA  fd00:20::1
mail         MX    10 www
srv          SRV   1 2 443 www
app          CNAME www
portal       CNAME app
away         CNAME elsewhere.example.
*.wild       A     10.20.1.6
brief    1   A     10.20.1.3
old          DNAME new
host.new     A     10.20.1.7
odd          TYPE65400 \\# 4 01020304
a\\.dot      A     10.20.1.8
"""
PRIVATE += "".join(f'big TXT "part {i:02} {"x" * 80}"\n' for i in range(24))
PRIVATE += "".join(f"huge A 10.21.{i // 250}.{i % 250}\n" for i in range(1500))

# What Unbound knows by itself; the private names are there to tempt: nobody must ever ask it for them.
LOCAL = """
  log-queries: yes
  local-zone: . static
  local-zone: example. static
  local-data: "example. 300 SOA ns.example. host.example. 1 3600 600 86400 60"
  local-data: "www.example. 300 A 192.0.2.80"
  local-data: "elsewhere.example. 300 A 192.0.2.81"
  local-data: "host.corp.local. 300 A 192.168.1.1"
  local-data: "www.corp.test. 300 A 192.0.2.83"
  local-data: "wild.corp.test. 300 A 192.0.2.84"
  local-data-ptr: "192.168.1.1 300 host.corp.local"
"""

Endpoint = collections.namedtuple("Endpoint", "addresses")
Az = collections.namedtuple("Az", "ip port az")


def family_of(pid):
    """A process and all below it: NSD answers from a grandchild."""
    pids = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path, encoding="ascii") as file:
            for child in file.read().split():
                pids += family_of(int(child))
    return pids


class Real(Case):
    def nsds(self, zones, count=3):
        for i in range(count):
            self.servers.append(self.stage.add(Nsd(self.stage.folder, zones, name=f"nsd{len(self.servers)}")))
        return Endpoint([Az(s.ip, s.port, f"az{i + 1}") for i, s in enumerate(self.servers[-count:])])

    def setUp(self):
        super().setUp()
        self.servers = []
        self.addCleanup(self.signal_all, signal.SIGCONT)

    def signal_all(self, number):
        for server in self.servers:
            if server.child.poll() is None:
                for pid in family_of(server.pid):
                    os.kill(pid, number)

    def begin(self, zones=None, routes=(ROUTE,), local=LOCAL, rest="", endpoint=""):
        """NSDs, Unbound, and the forwarder between them."""
        self.endpoint = self.nsds(zones or {"corp.test": PRIVATE})
        self.unbound = self.stage.add(Unbound(self.stage.folder, local))
        conf = zones_conf([endpoint_conf(self.endpoint, extra=endpoint)], routes, Endpoint([self.unbound]), rest)
        self.fwd = self.forwarder(conf)
        return self.fwd

    def heard(self, sentinel="www.example"):
        """What Unbound was asked for, in lower case, up to a question of ours that it must have heard."""
        fresh = f"x{len(self.unbound.text())}.{sentinel}"
        ask(self.fwd, fresh)
        return wait_for(lambda: fresh in (text := self.unbound.text().lower()) and text, what="Unbound's log")

    def check_kept_private(self):
        heard = self.heard()
        for name in ("corp.test", "10.20.", "20.10.in-addr"):
            self.assertNotIn(name, heard)


class Split(Real):
    def test_private_names_come_from_nsd_and_all_others_from_unbound(self):
        fwd = self.begin(routes=[ROUTE, "{reverse: 10.20.0.0/16, to: seoul}"])
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        self.expect(ask(fwd, "V6.Corp.Test", "AAAA"), ips=["fd00:20::1"])
        self.expect(ask(fwd, "any.thing.wild.corp.test"), ips=["10.20.1.6"])
        self.expect(ask(fwd, "a\\.dot.corp.test"), ips=["10.20.1.8"])
        for name, kind, text in (
            ("mail", "MX", "10 www.corp.test."),
            ("srv", "SRV", "1 2 443 www.corp.test."),
            ("odd", "TYPE65400", "\\# 4 01020304"),
            ("", "NS", "ns-0.awsdns-00.com."),
        ):
            self.assertEqual(self.expect(ask(fwd, f"{name}.corp.test".lstrip("."), kind)).answer[0][0].to_text(), text)
        self.expect(ask(fwd, "www.example"), ips=["192.0.2.80"])
        self.expect(ask(fwd, "host.corp.local"), ips=["192.168.1.1"])
        self.assertEqual(ask(fwd, "1.1.168.192.in-addr.arpa", "PTR").answer[0][0].to_text(), "host.corp.local.")
        self.expect(ask(fwd, "none.example"), "NXDOMAIN")
        # NSD has no such zone and says so; Unbound is not asked instead.
        self.expect(ask(fwd, "1.1.20.10.in-addr.arpa", "PTR"), "REFUSED")
        self.expect(ask(fwd, "www.corp.test", tcp=True), ips=["10.20.1.1", "10.20.1.2"])
        self.check_kept_private()
        self.assertIn("www.example", self.heard())

    def test_chains_are_passed_on_whole_and_never_followed_elsewhere(self):
        fwd = self.begin()
        response = self.expect(ask(fwd, "portal.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        self.assertEqual([r.name.to_text() for r in response.answer], ["portal.corp.test.", "app.corp.test.", "www.corp.test."])
        for _ in range(2):  # from upstream, then from the cache
            response = self.expect(ask(fwd, "away.corp.test"))
            self.assertEqual([r[0].to_text() for r in response.answer], ["elsewhere.example."])
        response = self.expect(ask(fwd, "host.old.corp.test"), ips=["10.20.1.7"])
        kinds = [dns.rdatatype.to_text(r.rdtype) for r in response.answer]
        self.assertEqual(kinds, ["DNAME", "CNAME", "A"])
        self.assertNotIn("elsewhere", self.heard())

    def test_large_answers_come_whole_over_tcp(self):
        fwd = self.begin()
        for name, kind, count in (("big", "TXT", 24), ("huge", "A", 1500)):
            for _ in range(2):
                self.expect(ask(fwd, f"{name}.corp.test", kind, edns=4096), tc=True)
                response = self.expect(ask(fwd, f"{name}.corp.test", kind, tcp=True))
                self.assertEqual(len(response.answer[0]), count)

    def test_negative_answers_are_kept(self):
        fwd = self.begin()
        questions = [("none.corp.test", "A", "NXDOMAIN"), ("www.corp.test", "TXT", "NOERROR"), ("wild.corp.test", "A", "NOERROR")]
        for name, kind, text in questions:
            response = self.expect(ask(fwd, name, kind), text, ips=[])
            self.assertEqual(dns.rdatatype.to_text(response.authority[0].rdtype), "SOA")
            self.assertLessEqual(response.authority[0].ttl, 60)
        self.signal_all(signal.SIGSTOP)
        for name, kind, text in questions:
            with self.within(AT_ONCE_S):
                response = self.expect(ask(fwd, name, kind), text, ips=[])
            self.assertLessEqual(response.authority[0].ttl, 60)
            self.assertEqual(ede(response), [])
        self.check_kept_private()


class Leaks(Real):
    """A name at or below a forwarded zone never goes to the local upstreams, whatever fails."""

    NAMES = [
        ("unknown.corp.test", "A"),
        ("a.b.c.wild.corp.test", "AAAA"),
        ("WWW.CORP.TEST", "TXT"),
        ("corp.test", "SOA"),
        ("corp.test", "DS"),
        ("corp.test", "NS"),
        ("_ldap._tcp.dc._msdcs.corp.test", "SRV"),
        ("host.old.corp.test", "A"),
    ]

    def ask_all(self, *expected):
        for name, kind in self.NAMES:
            with self.within(4 + AT_ONCE_S):
                response = ask(self.fwd, name, kind)
            self.assertIn(dns.rcode.to_text(response.rcode()), expected, (name, kind))
            self.assertEqual(response.answer, [])

    def test_nothing_leaks_while_every_private_server_is_silent(self):
        fwd = self.begin()
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        self.signal_all(signal.SIGSTOP)
        self.ask_all("SERVFAIL")
        response = wait_for(lambda: (r := ask(fwd, "brief.corp.test")).answer[0].ttl == 30 and r, what="the end of the TTL")
        self.expect(response, ips=["10.20.1.3"], ede_code=3)
        self.check_kept_private()
        self.expect(ask(fwd, "www.example"), ips=["192.0.2.80"])
        self.signal_all(signal.SIGCONT)
        wait_for(lambda: addresses(ask(fwd, "www.corp.test")), patience_s=10, what="coming back")
        self.check_kept_private()

    def test_nothing_leaks_while_every_private_server_is_gone(self):
        fwd = self.begin()
        for server in self.servers:
            server.stop()
        self.expect(ask(fwd, "www.corp.test"), "SERVFAIL", ede_code=23)
        self.ask_all("SERVFAIL")
        self.check_kept_private()

    def test_nothing_leaks_while_every_private_server_lies(self):
        """They serve another zone, and refuse ours: that is what a client hears."""
        self.begin(zones={"other.test": PRIVATE.replace("corp.test", "other.test")})
        self.ask_all("REFUSED")
        self.check_kept_private()

    def test_nothing_leaks_while_each_private_server_fails_in_its_own_way(self):
        self.begin(endpoint="hedge: off, policy: ordered")
        sound = self.endpoint
        self.nsds({"other.test": PRIVATE.replace("corp.test", "other.test")}, count=1)
        mixed = Endpoint([sound.addresses[0], sound.addresses[1], Az(self.servers[3].ip, self.servers[3].port, "az3")])
        self.servers[0].stop()
        for pid in family_of(self.servers[1].pid):
            os.kill(pid, signal.SIGSTOP)
        conf = zones_conf([endpoint_conf(mixed)], [ROUTE], Endpoint([self.unbound]))
        self.fwd = self.forwarder(conf, name="mixed")
        self.ask_all("SERVFAIL", "REFUSED")
        self.check_kept_private()

    def test_one_stopped_server_is_not_noticed(self):
        fwd = self.begin()
        for pid in family_of(self.servers[0].pid):
            os.kill(pid, signal.SIGSTOP)
        for i in range(20):
            with self.within(1):
                self.expect(ask(fwd, f"n{i}.wild.corp.test"), ips=["10.20.1.6"])
        self.check_kept_private()

    def test_one_sound_server_of_three_is_enough(self):
        fwd = self.begin(endpoint="policy: ordered")
        self.servers[0].stop()
        for pid in family_of(self.servers[1].pid):
            os.kill(pid, signal.SIGSTOP)
        for i in range(30):
            with self.within(1):
                self.expect(ask(fwd, f"n{i}.wild.corp.test"), ips=["10.20.1.6"])
        self.check_kept_private()


class Signed(Real):
    """For local routes DO and CD are passed on; an endpoint is always asked without."""

    ZONE = f"""
$ORIGIN signed.test.
$TTL 300
@     SOA {SOA} 60
@     NS  ns
ns    A   192.0.2.1
www   A   192.0.2.90
bogus A   192.0.2.91
"""

    def sign(self):
        """Signs the zone with the distribution's tools; returns its text and its trust anchor."""
        folder = self.stage.folder
        for tool in ("ldns-keygen", "ldns-signzone"):
            if not shutil.which(tool):
                self.skipTest(f"skipped: {tool} is not installed")
        with open(os.path.join(folder, "plain.zone"), "w", encoding="ascii") as file:
            file.write(self.ZONE)

        def run(*argv):
            return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout

        key = run("ldns-keygen", "-r", "/dev/urandom", "-k", "-a", "ECDSAP256SHA256", "signed.test").strip()
        run("ldns-signzone", "-f", "signed.zone", "plain.zone", key)
        with open(os.path.join(folder, "signed.zone"), encoding="ascii") as file:
            signed = file.read().replace("192.0.2.91", "192.0.2.66")  # a forgery
        with open(os.path.join(folder, key + ".key"), encoding="ascii") as file:
            return signed, file.read().split(";")[0].strip()

    def setUp(self):
        super().setUp()
        text, self.anchor = self.sign()
        world = self.nsds({"signed.test": text}, count=1).addresses[0]
        local = (
            LOCAL + "  module-config: 'validator iterator'\n  local-zone: signed.test. transparent\n"
            f"  trust-anchor: '{self.anchor}'\nstub-zone:\n  name: signed.test\n  stub-addr: {world.ip}@{world.port}\n"
        )
        self.begin(local=local)
        self.world = world

    def kinds(self, response):
        return {dns.rdatatype.to_text(r.rdtype) for r in response.answer}

    def test_signatures_come_to_who_asks_for_them(self):
        for _ in range(2):
            response = self.expect(ask(self.fwd, "www.signed.test"), ips=["192.0.2.90"])
            self.assertEqual(self.kinds(response), {"A"})
            self.assertFalse(response.flags & dns.flags.AD)
            response = self.expect(ask(self.fwd, "www.signed.test", ad=True), ips=["192.0.2.90"])
            self.assertEqual(self.kinds(response), {"A"})
            self.assertTrue(response.flags & dns.flags.AD)
            response = self.expect(ask(self.fwd, "www.signed.test", dnssec=True), ips=["192.0.2.90"])
            self.assertEqual(self.kinds(response), {"A", "RRSIG"})
            self.assertTrue(response.flags & dns.flags.AD)
            self.assertTrue(response.ednsflags & dns.flags.DO)
            response = self.expect(ask(self.fwd, "none.signed.test", dnssec=True), "NXDOMAIN")
            self.assertIn("NSEC", {dns.rdatatype.to_text(r.rdtype) for r in response.authority})

    def test_forgeries_reach_only_who_checks_for_himself(self):
        for _ in range(2):
            self.expect(ask(self.fwd, "bogus.signed.test"), "SERVFAIL")
            self.expect(ask(self.fwd, "bogus.signed.test", cd=True), ips=["192.0.2.66"])

    def test_endpoint_is_asked_for_no_signatures(self):
        fwd = self.forwarder(zones_conf([endpoint_conf(Endpoint([self.world]))], ["{name: signed.test, to: seoul}"]), name="other")
        response = self.expect(ask(fwd, "www.signed.test", dnssec=True), ips=["192.0.2.90"])
        self.assertEqual(self.kinds(response), {"A"})

    def test_delv_validates_through_us(self):
        if not shutil.which("delv"):
            self.skipTest("skipped: delv is not installed")
        path = os.path.join(self.stage.folder, "anchors")
        owner, *_, flags, protocol, algorithm, key = self.anchor.replace("\t", " ").split()
        with open(path, "w", encoding="ascii") as file:
            file.write(f'trust-anchors {{ {owner} static-key {flags} {protocol} {algorithm} "{key}"; }};\n')

        def delv(*words):
            argv = ["delv", f"@{self.fwd.ip}", "-p", str(self.fwd.port), "-a", path, *words]
            run = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
            return run.stdout + run.stderr

        said = delv("+root=signed.test", "www.signed.test")
        self.assertIn("; fully validated", said)
        self.assertIn("192.0.2.90", said)
        self.assertNotIn("; fully validated", delv("+root=signed.test", "bogus.signed.test"))
        self.assertIn("10.20.1.1", delv("+noroot", "www.corp.test"))


class Clients(Real):
    """Programs that people ask with."""

    def setUp(self):
        super().setUp()
        self.begin()

    def run_client(self, name, *words):
        program = shutil.which(name)
        if not program:
            self.skipTest(f"skipped: {name} is not installed")
        run = subprocess.run([program, *words], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for complaint in ("WARNING", "warning", "mismatch", "malformed"):
            self.assertNotIn(complaint, run.stdout)
        return run.stdout

    def check_dig_like(self, name, *ways):
        at = [f"@{self.fwd.ip}", "-p", str(self.fwd.port)]
        for way in ways:
            for _ in range(2):
                said = self.run_client(name, *at, *way, "+short", "www.corp.test")
                self.assertEqual(sorted(said.split()), ["10.20.1.1", "10.20.1.2"], way)
            self.assertEqual(self.run_client(name, *at, *way, "+short", "www.example"), "192.0.2.80\n", way)
            self.assertIn("NXDOMAIN", self.run_client(name, *at, *way, "none.corp.test"))
            self.assertEqual(len(self.run_client(name, *at, *way, "+short", "huge.corp.test").split()), 1500)
            self.assertEqual(self.run_client(name, *at, *way, "+short", "-x", "192.168.1.1"), "host.corp.local.\n")

    def test_dig(self):
        ways = ([], ["+tcp"], ["+dnssec"], ["+noedns"], ["+bufsize=512"], ["+tcp", "+keepopen"], ["+subnet=192.0.2.0/24"])
        self.check_dig_like("dig", *ways)

    def test_kdig(self):
        self.check_dig_like("kdig", [], ["+tcp"], ["+dnssec"], ["+edns"], ["+bufsize=512"], ["+padding=128"])
        at = [f"@{self.fwd.ip}", "-p", str(self.fwd.port)]
        said = self.run_client("kdig", *at, "+tcp", "+keepopen", "+short", "www.corp.test", "v6.corp.test", "AAAA", "www.example")
        self.assertEqual(sorted(said.split()), ["10.20.1.1", "10.20.1.2", "192.0.2.80", "fd00:20::1"])

    def test_drill(self):
        at = [f"@{self.fwd.ip}", "-p", str(self.fwd.port)]
        for way in ([], ["-t"], ["-D"], ["-b", "512"]):
            said = self.run_client("drill", *way, *at, "www.corp.test")
            self.assertIn("rcode: NOERROR", said)
            self.assertIn("10.20.1.2", said)
            self.assertIn("rcode: NXDOMAIN", self.run_client("drill", *way, *at, "none.corp.test"))
        # drill does not go over to TCP by itself.
        self.assertEqual(self.run_client("drill", "-t", *at, "huge.corp.test").count("10.21."), 1500)

    def test_host(self):
        at = ["-p", str(self.fwd.port)]
        said = self.run_client("host", *at, "portal.corp.test", self.fwd.ip)
        for words in ("portal.corp.test is an alias for app.corp.test.", "www.corp.test has address 10.20.1.1"):
            self.assertIn(words, said)


if __name__ == "__main__":
    missing = []
    for server in ("nsd", "unbound"):
        try:
            find_program(server)
        except AssertionError:
            missing.append(server)
    if missing:
        print(f"skipped: not installed: {', '.join(missing)}")
        raise SystemExit(77)
    main()
