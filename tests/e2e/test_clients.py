# SPDX-License-Identifier: Apache-2.0
"""Clients that we did not write, against the real program: the probes of ISC's EDNS compliance tester, as dig and as it sends them, and
the resolvers that programs are linked with: glibc's, musl's, c-ares, and Go's manner of asking."""

import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode

try:
    import pycares
except ImportError:
    pycares = None

from lib import CORP, LOOPBACK, Address, Case, addresses, ask, endpoint_conf, find_program, main, make_query, zones_conf

WWW = ["10.20.1.1", "10.20.1.2"]

# More records than a datagram of 1232 holds.
HUGE = [f"10.21.0.{i}" for i in range(100)]
EXTRA = "".join(f"huge A {ip}\n" for ip in HUGE) + "dual A 10.20.2.1\ndual AAAA fd00:20:2::1\n"


# ---- ISC's EDNS compliance tester (https://ednscomp.isc.org): what it asks, and what it expects of whom answers ----


class Seen:
    """What dig printed, taken apart."""

    def __init__(self, text):
        self.text = text
        self.rcode = self._find(r"status: (\S+),")
        self.flags = (self._find(r";; flags: ([a-z ]*);") or "").split()
        edns = re.search(r"; EDNS: version: (\d+), flags:([^;]*); (?:MBZ: 0x\w+, )?udp: (\d+)", text)
        self.version = int(edns[1]) if edns else None
        self.edns_flags = edns[2].split() if edns else []
        self.size = int(edns[3]) if edns else None
        self.mbz = "MBZ" in text
        self.answers = int(self._find(r"ANSWER: (\d+)") or 0)
        self.bytes = int(self._find(r"MSG SIZE  rcvd: (\d+)") or 0)

    def _find(self, pattern):
        found = re.search(pattern, self.text)
        return found[1] if found else None


class Compliance(Case):
    """One forwarder for all; each probe as `dig` sends it, by the name that ISC's report gives it."""

    def setUp(self):
        super().setUp()
        self.fwd, self.nets, _ = self.serve()
        ask(self.fwd, "corp.test", "SOA")  # known from here on: probes without RD are answered, too
        self.dig_path = find_program("dig")

    def dig(self, *options, name="corp.test", type="SOA"):
        where = [f"@{self.fwd.ip}", "-p", str(self.fwd.port), "+time=5", "+tries=1"]
        argv = [self.dig_path, *where, "+nocookie", "+norec", "+qr", *options, name, type]
        run = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        # The query comes first, for +qr; what is looked at is the answer.
        return Seen(run.stdout[run.stdout.rindex(";; Got answer:") :])

    def good(self, seen, *, edns=True, answers=1):
        self.assertEqual(seen.rcode, "NOERROR", seen.text)
        self.assertEqual(seen.version, 0 if edns else None, seen.text)
        self.assertEqual(seen.answers, answers, seen.text)
        self.assertFalse(seen.mbz, seen.text)
        return seen

    def badvers(self, seen):
        self.assertEqual((seen.rcode, seen.version, seen.answers), ("BADVERS", 0, 0), seen.text)
        self.assertFalse(seen.mbz, seen.text)
        return seen

    def test_dns(self):
        self.good(self.dig("+noedns"), edns=False)

    def test_aa_ad_cd_and_rd_flags_are_no_hindrance(self):
        self.assertNotIn("aa", self.good(self.dig("+noedns", "+aaflag"), edns=False).flags)
        self.assertNotIn("ad", self.good(self.dig("+noedns", "+adflag"), edns=False).flags)
        self.assertIn("cd", self.good(self.dig("+noedns", "+cdflag"), edns=False).flags)
        self.assertIn("rd", self.good(self.dig("+noedns", "+rec"), edns=False).flags)

    def test_zflag(self):
        seen = self.good(self.dig("+noedns", "+zflag"), edns=False)
        self.assertNotIn("MBZ: 0x4", seen.text)

    def test_edns(self):
        self.assertEqual(self.good(self.dig("+edns=0")).size, 1232)

    def test_edns1(self):
        self.badvers(self.dig("+edns=1", "+noednsneg"))

    def test_edns_versions_up_to_255(self):
        for version in (2, 100, 255):
            self.badvers(self.dig(f"+edns={version}", "+noednsneg"))

    def test_edns1_is_negotiated_down(self):
        self.good(self.dig("+edns=1", "+ednsneg"))

    def test_edns_at_512(self):
        seen = self.dig("+edns=0", "+bufsize=512", "+ignore", "+rec", name="big.corp.test", type="TXT")
        self.assertEqual((seen.rcode, seen.version), ("NOERROR", 0), seen.text)
        self.assertIn("tc", seen.flags)
        self.assertLessEqual(seen.bytes, 512)

    def test_ednsopt(self):
        seen = self.good(self.dig("+edns=0", "+ednsopt=100"))
        self.assertNotIn("OPT=100", seen.text)

    def test_edns1opt(self):
        seen = self.badvers(self.dig("+edns=1", "+noednsneg", "+ednsopt=100"))
        self.assertNotIn("OPT=100", seen.text)

    def test_do(self):
        self.assertIn("do", self.good(self.dig("+edns=0", "+dnssec")).edns_flags)

    def test_edns1do(self):
        self.badvers(self.dig("+edns=1", "+noednsneg", "+dnssec"))

    def test_ednsflags(self):
        for flag in ("0x40", "0x4000", "0x1", "0x7fff"):
            self.good(self.dig("+edns=0", f"+ednsflags={flag}"))

    def test_edns1flags(self):
        self.badvers(self.dig("+edns=1", "+noednsneg", "+ednsflags=0x80"))

    def test_optlist(self):
        seen = self.good(self.dig("+edns=0", "+nsid", "+subnet=0.0.0.0/0", "+expire", "+cookie", "+keepalive", "+padding=64"))
        for word in ("COOKIE", "NSID", "CLIENT-SUBNET", "EXPIRE"):
            self.assertNotIn(word, seen.text)

    def test_each_option_alone(self):
        cookies = ("+cookie", "+cookie=0123456789abcdef")
        for option in ("+nsid", "+subnet=192.0.2.0/24", "+subnet=2001:db8::/32", "+expire", *cookies, "+padding=128"):
            self.good(self.dig("+edns=0", option))
        self.assertEqual({q.edns.split(",")[0] for q in self.nets.queries("corp.test", "SOA")} - {"-", "none"}, {"1232"})

    def test_docookie(self):
        self.assertIn("do", self.good(self.dig("+edns=0", "+dnssec", "+cookie")).edns_flags)

    def test_ednstcp(self):
        self.assertIn("do", self.good(self.dig("+edns=0", "+dnssec", "+tcp")).edns_flags)
        self.good(self.dig("+edns=0", "+tcp", "+rec", name="big.corp.test", type="TXT"), answers=24)
        self.badvers(self.dig("+edns=1", "+noednsneg", "+tcp"))

    def test_tcp_without_edns(self):
        self.good(self.dig("+noedns", "+tcp"), edns=False)

    def test_tc_leads_dig_to_tcp(self):
        self.good(self.dig("+edns=0", "+rec", name="big.corp.test", type="TXT"), answers=24)
        self.good(self.dig("+noedns", "+rec", name="big.corp.test", type="TXT"), edns=False, answers=24)

    def test_type_that_nobody_knows(self):
        self.good(self.dig("+edns=0", "+rec", type="TYPE666"), answers=0)
        self.good(self.dig("+noedns", "+rec", type="TYPE1000"), edns=False, answers=0)

    def test_opcode_that_nobody_knows(self):
        for opcode in (1, 3, 6, 15):
            for edns in ("+noedns", "+edns=0"):
                seen = self.dig(f"+opcode={opcode}", edns)
                self.assertEqual((seen.rcode, seen.answers), ("NOTIMP", 0), seen.text)

    def test_header_only(self):
        seen = self.dig("+header-only", "+noedns")
        self.assertEqual((seen.rcode, seen.answers), ("FORMERR", 0), seen.text)

    def test_largest_and_smallest_sizes(self):
        for size in (0, 1, 511, 512, 513, 1231, 1232, 1233, 4096, 65535):
            with self.subTest(size=size):
                seen = self.dig("+edns=0", f"+bufsize={size}", "+ignore", "+rec", name="big.corp.test", type="TXT")
                self.assertEqual((seen.rcode, seen.version), ("NOERROR", 0), seen.text)
                self.assertLessEqual(seen.bytes, max(512, min(size, 1232)))


# The list of that tool (genreport, its sets EDNS, FULL and COMM), as it writes the packets: header flags, EDNS version (None: no OPT), EDNS
# flags, options, type, whether over TCP.
AA, TC, RD, RA, Z, AD, CD, DO = 0x400, 0x200, 0x100, 0x80, 0x40, 0x20, 0x10, 0x8000
NSID, ECS, EXPIRE, COOKIE = (3, b""), (8, b"\0\1\0\0"), (9, b""), (10, bytes(range(1, 9)))
UNKNOWN = (100, b"")
PROBES = {
    "dns": (0, None, 0, (), "SOA", False),
    "aa": (AA, None, 0, (), "SOA", False),
    "ad": (AD, None, 0, (), "SOA", False),
    "cd": (CD, None, 0, (), "SOA", False),
    "ra": (RA, None, 0, (), "SOA", False),
    "rd": (RD, None, 0, (), "SOA", False),
    "tc": (TC, None, 0, (), "SOA", False),
    "zflag": (Z, None, 0, (), "SOA", False),
    "type666": (RD, None, 0, (), "TYPE666", False),
    "tcp": (0, None, 0, (), "SOA", True),
    "edns": (0, 0, 0, (), "SOA", False),
    "edns1": (0, 1, 0, (), "SOA", False),
    "ednsopt": (0, 0, 0, (UNKNOWN,), "SOA", False),
    "edns1opt": (0, 1, 0, (UNKNOWN,), "SOA", False),
    "do": (0, 0, DO, (), "SOA", False),
    "docd": (CD, 0, DO, (), "SOA", False),
    "edns1do": (0, 1, DO, (), "SOA", False),
    "ednsflags": (0, 0, 0x80, (), "SOA", False),
    "optlist": (0, 0, 0, (NSID, ECS, EXPIRE, COOKIE), "SOA", False),
    "ednsnsid": (0, 0, 0, (NSID,), "SOA", False),
    "ednscookie": (0, 0, 0, (COOKIE,), "SOA", False),
    "ednsexpire": (0, 0, 0, (EXPIRE,), "SOA", False),
    "ednssubnet": (0, 0, 0, (ECS,), "SOA", False),
    "edns1nsid": (0, 1, 0, (NSID,), "SOA", False),
    "edns1cookie": (0, 1, 0, (COOKIE,), "SOA", False),
    "edns1expire": (0, 1, 0, (EXPIRE,), "SOA", False),
    "edns1subnet": (0, 1, 0, (ECS,), "SOA", False),
    "ednstcp": (RD, 0, DO, (), "DNSKEY", True),
    "bind11": (0, 0, DO, (COOKIE,), "SOA", False),
    "dig11": (RD | AD, 0, 0, (COOKIE,), "SOA", False),
}


class Report(Case):
    """What the tool itself looks at: rcode, flags, OPT and its contents."""

    def setUp(self):
        super().setUp()
        self.fwd, _, _ = self.serve()
        ask(self.fwd, "corp.test", "SOA")  # known from here on

    def probe(self, flags, version, edns_flags, options, rdtype, tcp):
        query = dns.message.make_query("corp.test", rdtype)
        query.flags = flags
        if version is not None:
            query.use_edns(version, edns_flags, 4096, options=[dns.edns.GenericOption(*o) for o in options])
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, self.fwd.ip, 5, self.fwd.port, ignore_trailing=False)

    def test_every_probe_is_ok(self):
        # A key of EDNS flags that nobody has assigned, or an opcode's meaning of a flag, is not for us to give back.
        for name, row in PROBES.items():
            flags, version, edns_flags, _, rdtype, _ = row
            with self.subTest(probe=name):
                seen = self.probe(*row)
                wanted = dns.rcode.BADVERS if version == 1 else dns.rcode.NOERROR
                self.assertEqual(seen.rcode(), wanted, seen)
                self.assertEqual(seen.flags & 0xFFF0, 0x8000 | RA | flags & (RD | CD), seen)
                self.assertEqual(len(seen.answer), 1 if rdtype == "SOA" and version != 1 else 0, seen)
                self.assertEqual(seen.edns, -1 if version is None else 0, seen)
                if version is not None:
                    self.assertEqual(seen.ednsflags & 0xFFFF, edns_flags & DO, seen)
                    self.assertEqual([o for o in seen.options if o.otype != dns.edns.OptionType.EDE], [], seen)

    def test_opcode_and_opcodeflg(self):
        """RFC 8906: no flag has a meaning under an opcode that is not known, so none but QR is given back."""
        for flags in (0, AA | TC | RD | RA | Z | AD | CD):
            with self.subTest(flags=flags), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(struct.pack("!6H", 0x1234, 15 << 11 | flags, 0, 0, 0, 0), (self.fwd.ip, self.fwd.port))
                seen = struct.unpack("!6H", s.recv(512))
                self.assertEqual(seen, (0x1234, 0x8000 | 15 << 11 | dns.rcode.NOTIMP, 0, 0, 0, 0))

    def test_edns_at_512(self):
        query = dns.message.make_query("big.corp.test", "TXT", use_edns=0, payload=512, want_dnssec=True)
        seen = dns.query.udp(query, self.fwd.ip, 5, self.fwd.port, raise_on_truncation=False)
        self.assertTrue(seen.flags & dns.flags.TC, seen)
        self.assertLessEqual(len(seen.to_wire()), 512)


# ---- stub resolvers ----


def may_serve(ip):
    try:
        with socket.socket() as s:
            s.bind((ip, 53))
        return True
    except OSError:
        return False


def may_mount(folder):
    """A private /etc/resolv.conf takes a mount namespace."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    path = os.path.join(folder, "trial")
    with open(path, "w", encoding="ascii"):
        pass
    run = subprocess.run(["unshare", "-m", "mount", "--bind", path, "/etc/resolv.conf"], capture_output=True, timeout=30, check=False)
    return run.returncode == 0


LOOKUP = r"""
import json, socket, sys
found = {}
for name, family in json.loads(sys.argv[1]):
    try:
        found[f"{name} {family}"] = sorted({a[4][0] for a in socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)})
    except socket.gaierror as e:
        found[f"{name} {family}"] = {socket.EAI_NONAME: "NONAME", socket.EAI_AGAIN: "AGAIN", -5: "NODATA"}.get(e.errno, str(e.errno))
print(json.dumps(found))
"""

MUSL = r"""
#include <netdb.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_family = atoi(argv[2]), .ai_socktype = SOCK_STREAM}, *all;
	int r = getaddrinfo(argv[1], 0, &hints, &all);
	char text[64];
	if (r) {
		puts(r == EAI_NONAME ? "NONAME" : r == EAI_AGAIN ? "AGAIN" : r == -5 ? "NODATA" : "error");
		return 0;
	}
	for (struct addrinfo *a = all; a; a = a->ai_next) {
		const void *ip = a->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr
							 : (void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
		puts(inet_ntop(a->ai_family, ip, text, sizeof(text)));
	}
	return argc != 3;
}
"""

ANY, V4, V6 = 0, 2, 10


class Stub(Case):
    """A host whose /etc/resolv.conf names the forwarder."""

    def setUp(self):
        super().setUp()
        ip = LOOPBACK.ip()
        if not may_serve(ip):
            self.skipTest("skipped: resolv.conf has no ports, and port 53 is not ours to take")
        if not may_mount(self.stage.folder):
            self.skipTest("skipped: no mount namespace of our own for /etc/resolv.conf")
        self.at = Address(ip, 53, None)

    def start(self, rest=""):
        self.sim_of_corp = self.sim(zones=[CORP + EXTRA])
        world = self.world()
        conf = zones_conf([endpoint_conf(self.sim_of_corp)], ["{name: corp.test, to: seoul}"], world, rest)
        return self.forwarder(conf, at=self.at)

    def run_there(self, argv, options="", search=""):
        """Runs a program where /etc/resolv.conf is ours."""
        resolv = os.path.join(self.stage.folder, "resolv.conf")
        switch = os.path.join(self.stage.folder, "nsswitch.conf")
        with open(resolv, "w", encoding="ascii") as file:
            file.write(f"nameserver {self.at.ip}\n{f'search {search}' if search else ''}\noptions timeout:5 attempts:2 {options}\n")
        with open(switch, "w", encoding="ascii") as file:
            file.write("hosts: files dns\n")
        switched = '{ [ ! -e /etc/nsswitch.conf ] || mount --bind "$2" /etc/nsswitch.conf; }'
        script = f'mount --bind "$1" /etc/resolv.conf && {switched} && shift 2 && exec "$@"'
        run = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", resolv, switch, *argv], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def glibc(self, *questions, **how):
        return list(json.loads(self.run_there(["/usr/bin/python3", "-c", LOOKUP, json.dumps(questions)], **how)).values())


class Glibc(Stub):
    def test_addresses_of_both_kinds(self):
        self.start()
        self.assertEqual(
            self.glibc(("www.corp.test", V4), ("v6.corp.test", V6), ("dual.corp.test", ANY), ("portal.corp.test", ANY)),
            [WWW, ["fd00:20::1"], ["10.20.2.1", "fd00:20:2::1"], WWW],
        )

    def test_absence_and_failure_are_told_apart(self):
        self.start()
        self.assertEqual(self.glibc(("nothing.corp.test", ANY), ("www.corp.test", V6)), ["NONAME", "NODATA"])
        self.sim_of_corp.ctl("all", "rcode", "SERVFAIL")
        self.assertEqual(self.glibc(("new.corp.test", V4)), ["AGAIN"])

    def test_options_of_resolv_conf(self):
        self.start()
        for options in ("edns0", "trust-ad edns0", "use-vc", "single-request", "single-request-reopen", "no-tld-query"):
            with self.subTest(options=options):
                self.assertEqual(self.glibc(("dual.corp.test", ANY), options=options), [["10.20.2.1", "fd00:20:2::1"]])

    def test_large_answer_is_fetched_over_tcp(self):
        self.start()
        for options in ("", "edns0"):
            self.assertEqual(self.glibc(("huge.corp.test", V4), options=options), [sorted(HUGE)])

    def test_search_list_with_ndots_5(self):
        """What a pod in Kubernetes does to each name."""
        self.start()
        search = "default.svc.cluster.local svc.cluster.local cluster.local corp.test"
        self.assertEqual(self.glibc(("www", V4), ("www.example", V4), options="ndots:5", search=search), [WWW, ["192.0.2.80"]])

    def test_getent_and_reverse_names(self):
        self.start()
        self.assertIn("10.20.1.1", self.run_there(["getent", "ahostsv4", "www.corp.test"]))
        self.assertIn("host.corp.local", self.run_there(["getent", "hosts", "192.168.1.1"]))


class Musl(Stub):
    def setUp(self):
        super().setUp()
        compiler = shutil.which("musl-gcc")
        if not compiler:
            self.skipTest("skipped: musl-tools is not installed")
        source, self.program = os.path.join(self.stage.folder, "lookup.c"), os.path.join(self.stage.folder, "lookup")
        with open(source, "w", encoding="ascii") as file:
            file.write(MUSL)
        subprocess.run([compiler, "-static", "-o", self.program, source], check=True, timeout=60)

    def musl(self, name, family, **how):
        return sorted(self.run_there([self.program, name, str(family)], **how).split())

    def test_addresses_of_both_kinds(self):
        self.start()
        self.assertEqual(self.musl("www.corp.test", V4), WWW)
        self.assertEqual(self.musl("dual.corp.test", ANY), ["10.20.2.1", "fd00:20:2::1"])
        self.assertEqual(self.musl("portal.corp.test", ANY), WWW)
        self.assertEqual(self.musl("www", V4, search="cluster.local corp.test", options="ndots:5"), WWW)

    def test_absence_and_failure_are_told_apart(self):
        self.start()
        self.assertIn(self.musl("nothing.corp.test", ANY), (["NONAME"], ["NODATA"]))
        self.sim_of_corp.ctl("all", "rcode", "SERVFAIL")
        self.assertEqual(self.musl("new.corp.test", V4), ["AGAIN"])

    def test_cut_answer_still_holds_addresses(self):
        """Before 1.2.4 it knows no TCP: what fits into 512 bytes is all it gets."""
        self.start()
        found = self.musl("huge.corp.test", V4)
        self.assertGreaterEqual(len(found), 20)
        self.assertLessEqual(set(found), set(HUGE))


# ares.h has it, pycares 4.3 does not.
ARES_FLAG_EDNS = 1 << 8


class CAres(Case):
    def resolver(self, fwd, **options):
        if pycares is None:
            self.skipTest("skipped: python3-pycares is not installed")
        return pycares.Channel(servers=[fwd.ip], udp_port=fwd.port, tcp_port=fwd.port, timeout=5, tries=2, **options)

    def outcome(self, channel, *questions):
        """Asks all at once; returns [(result, error)] in their order."""
        got = [None] * len(questions)

        def keep(i):
            return lambda result, error: got.__setitem__(i, (result, error))

        for i, (name, kind) in enumerate(questions):
            channel.query(name, kind, keep(i))
        while None in got:
            reads, writes = channel.getsock()
            self.assertTrue(reads or writes, "c-ares waits for nothing")
            ready = select.select(reads, writes, [], channel.timeout(1.0))
            for fd in ready[0]:
                channel.process_fd(fd, pycares.ARES_SOCKET_BAD)
            for fd in ready[1]:
                channel.process_fd(pycares.ARES_SOCKET_BAD, fd)
            if not ready[0] and not ready[1]:
                channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        return got

    def serve_extra(self):
        sim = self.sim(zones=[CORP + EXTRA])
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: seoul}"], self.world()))
        return fwd, sim

    def test_pairs_of_questions_over_udp_edns_and_tcp(self):
        fwd, _ = self.serve_extra()
        self.resolver(fwd)
        for flags in (0, ARES_FLAG_EDNS, pycares.ARES_FLAG_USEVC, pycares.ARES_FLAG_STAYOPEN):
            with self.subTest(flags=flags):
                channel = self.resolver(fwd, flags=flags)
                kinds = (pycares.QUERY_TYPE_A, pycares.QUERY_TYPE_AAAA)
                a, aaaa = self.outcome(channel, *(("dual.corp.test", kind) for kind in kinds))
                self.assertEqual([r.host for r in a[0]], ["10.20.2.1"])
                self.assertEqual([r.host for r in aaaa[0]], ["fd00:20:2::1"])

    def test_large_answer_is_fetched_over_tcp(self):
        fwd, _ = self.serve_extra()
        channel = self.resolver(fwd)
        (result, error), = self.outcome(channel, ("huge.corp.test", pycares.QUERY_TYPE_A))
        self.assertIsNone(error)
        self.assertEqual(sorted(r.host for r in result), sorted(HUGE))

    def test_absence_and_failure_are_told_apart(self):
        fwd, sim = self.serve_extra()
        channel = self.resolver(fwd)
        gone, empty = self.outcome(
            channel, ("nothing.corp.test", pycares.QUERY_TYPE_A), ("www.corp.test", pycares.QUERY_TYPE_AAAA)
        )
        self.assertEqual(gone[1], pycares.errno.ARES_ENOTFOUND)
        self.assertEqual(empty[1], pycares.errno.ARES_ENODATA)
        sim.ctl("all", "rcode", "SERVFAIL")
        (_, failed), = self.outcome(channel, ("new.corp.test", pycares.QUERY_TYPE_A))
        self.assertIn(failed, (pycares.errno.ARES_ESERVFAIL, pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED))


class GoStyle(Case):
    """Go's resolver (net/dnsclient_unix.go): A and AAAA at once, each from a socket of its own, an OPT of 1232; with TC again over TCP;
    what it takes for an answer has id and question as sent and RA set, or is no lame referral."""

    def one(self, fwd, name, rdtype, found):
        query = make_query(name, rdtype, edns=1232, ad=True)
        response = dns.query.udp(query, fwd.ip, port=fwd.port, timeout=5)
        if response.flags & dns.flags.TC:
            response = dns.query.tcp(query, fwd.ip, port=fwd.port, timeout=5)
        found[rdtype] = response

    def lookup(self, fwd, name):
        found = {}
        threads = [threading.Thread(target=self.one, args=(fwd, name, t, found)) for t in ("A", "AAAA")]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for response in found.values():
            self.assertTrue(response.flags & dns.flags.RA)
            self.assertFalse(response.flags & dns.flags.TC)
        return sorted(addresses(found["A"]) + addresses(found["AAAA"]))

    def test_pairs_of_questions(self):
        fwd, _, _ = self.serve()
        self.assertEqual(self.lookup(fwd, "www.corp.test"), WWW)
        self.assertEqual(self.lookup(fwd, "v6.corp.test"), ["fd00:20::1"])
        self.assertEqual(self.lookup(fwd, "portal.corp.test"), WWW)
        self.assertEqual(self.lookup(fwd, "nothing.corp.test"), [])

    def test_large_answer_is_fetched_over_tcp(self):
        fwd, _, _ = self.serve()
        found = {}
        self.one(fwd, "big.corp.test", "TXT", found)
        self.assertEqual(sum(len(r) for r in found["TXT"].answer), 24)


class Tools(Case):
    """kdig, drill and delv with what is particular to each; dig has ISC's probes, and test_real_servers the rest."""

    def run_tool(self, *argv):
        path = shutil.which(argv[0])
        if not path:
            self.skipTest(f"skipped: {argv[0]} is not installed")
        run = subprocess.run([path, *argv[1:]], capture_output=True, text=True, timeout=30, check=False)
        return run.stdout + run.stderr

    def test_kdig_with_padding_cookies_and_kept_connections(self):
        fwd, _, _ = self.serve()
        where = (f"@{fwd.ip}", "-p", str(fwd.port), "+timeout=5")
        for options in (("+edns",), ("+padding", "+cookie"), ("+tcp", "+keepopen", "+cookie"), ("+bufsize=4096", "+dnssec"), ("+noedns",)):
            said = self.run_tool("kdig", *where, *options, "www.corp.test", "A")
            self.assertIn("status: NOERROR", said)
            for ip in WWW:
                self.assertIn(ip, said)
            self.assertNotIn("WARNING", said)

    def test_kdig_pipelines_over_one_connection(self):
        fwd, _, _ = self.serve()
        said = self.run_tool(
            *("kdig", f"@{fwd.ip}", "-p", str(fwd.port), "+tcp", "+keepopen"),
            *("www.corp.test", "A", "v6.corp.test", "AAAA", "nothing.corp.test", "A"),
        )
        self.assertIn("10.20.1.1", said)
        self.assertIn("fd00:20::1", said)
        self.assertIn("NXDOMAIN", said)

    def test_drill_over_udp_and_tcp(self):
        fwd, _, _ = self.serve()
        for options in ((), ("-t",), ("-D",), ("-b", "512"), ("-o", "rd")):
            said = self.run_tool("drill", "-p", str(fwd.port), *options, "www.corp.test", f"@{fwd.ip}", "A")
            self.assertIn("rcode: NOERROR", said, options)

    def test_delv_without_validation(self):
        fwd, _, _ = self.serve()
        said = self.run_tool("delv", f"@{fwd.ip}", "-p", str(fwd.port), "-i", "www.corp.test", "A")
        for ip in WWW:
            self.assertIn(ip, said)


if __name__ == "__main__":
    main()
