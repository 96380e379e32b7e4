# SPDX-License-Identifier: Apache-2.0
"""Real programs on loopback: r53fwd between a client (this process) and simulated or real servers.

Every program runs in the foreground as a child, with its own configuration in a temporary folder, on an address of
127.0.0.0/8 that nobody else has, and is ended by its own process id. Readiness is asked for, never slept for. The
paths of our programs come from the environment (R53FWD, R53SIM); CMake puts them there.
"""

import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

R53FWD = os.environ["R53FWD"]
R53SIM = os.environ["R53SIM"]

with open(R53FWD, "rb") as program:
    THREAD_SANITIZER = b"__tsan_init" in program.read()

# A program under a sanitizer on a busy machine may take this long for what takes it milliseconds at home.
PATIENCE_S = 15

# What an answer that needs no waiting may take at the most, with the same excuse.
AT_ONCE_S = 1.0

SOA = "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600"

# The private zone that most tests ask for.
CORP = f"""
$ORIGIN corp.test.
$TTL 60
@        900 SOA   {SOA} 86400
@            NS    ns-0.awsdns-00.com.
@            NS    ns-512.awsdns-00.net.
@            NS    ns-1024.awsdns-00.org.
@            NS    ns-1536.awsdns-00.co.uk.
www          A     10.20.1.1
www          A     10.20.1.2
v6           AAAA  fd00:20::1
app          CNAME www
portal       CNAME app
away         CNAME elsewhere.example.
brief    1   A     10.20.1.3
never    0   A     10.20.1.4
age   172800 A     10.20.1.5
odd          TYPE65400 \\# 4 01020304
*.wild       A     10.20.1.6
legacy       A     10.20.1.7
""" + "".join(f'big TXT "part {i:02} {"x" * 80}"\n' for i in range(24))

# Negative answers of this one are kept for a second.
HASTY = f"""
$ORIGIN hasty.test.
@ 1 SOA {SOA} 1
@ 60 NS ns-0.awsdns-00.com.
"""

# What the local upstream knows: everything else.
WORLD = """
$ORIGIN .
$TTL 300
.             86400 SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400
www.example.        A   192.0.2.80
elsewhere.example.  A   192.0.2.81
legacy.corp.test.   A   192.0.2.82
www.corp.test.      A   192.0.2.83
host.corp.local.    A   192.168.1.1
1.1.168.192.in-addr.arpa. PTR host.corp.local.
"""


def wait_for(question, patience_s=PATIENCE_S, what="it"):
    """Asks `question` until it says something true, and returns that."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {patience_s} s")
        time.sleep(0.02)


class Loopback:
    """Addresses of this process's own: 127.A.B.* from its id, so that tests may run side by side."""

    def __init__(self):
        pid = os.getpid()
        self.prefix = f"127.{64 + (pid >> 8) % 128}.{pid % 256}"
        self.used = 0

    def ip(self):
        self.used = self.used % 254 + 1
        return f"{self.prefix}.{self.used}"

    @staticmethod
    def port(ip):
        """A port that is free over UDP and TCP, and that no client of another test is given before a program binds it: below those that
        Linux gives away. For 0.0.0.0 one that no client has at any address: below 1024 where that is allowed."""
        low = range(600, 1024) if ip == "0.0.0.0" and os.geteuid() == 0 else range(10000, 32768)
        for _ in range(100):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
                try:
                    udp.bind((ip, random.choice(low)))
                    tcp.bind(udp.getsockname())
                except OSError:
                    continue
                return udp.getsockname()[1]
        raise AssertionError("no free port")


LOOPBACK = Loopback()

Address = collections.namedtuple("Address", "ip port az")


def await_end(child, number=None, patience_s=PATIENCE_S):
    """Its exit status. `number`: the signal that it was sent, if that is why it ends. gcc 12's ThreadSanitizer, which hands signals on
    itself, loses about one in a thousand of those that come when a program has just begun to serve, and more when others come at the same
    time: with it the signal is sent again."""
    until = time.monotonic() + patience_s
    while THREAD_SANITIZER and number and until - time.monotonic() > 3:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(3)
        child.send_signal(number)
    return child.wait(max(0, until - time.monotonic()))


def end(child):
    """Its exit status after SIGTERM."""
    child.terminate()
    return await_end(child, signal.SIGTERM)


class Program:
    """A child in the foreground; what it says goes to a file that a failing test shows."""

    def __init__(self, name, folder, argv, env=None):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.ended_by = None
        self.said = os.path.join(folder, f"{name}.err")
        self.heard = os.path.join(folder, f"{name}.out")
        with open(self.said, "ab") as err, open(self.heard, "ab") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env={**os.environ, **(env or {})}
            )

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        with open(self.said, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_alive(self):
        if self.child.poll() is not None:
            raise AssertionError(f"{self.name} has ended with {self.child.returncode}:\n{self.text()}")
        return False

    def signal(self, number):
        self.child.send_signal(number)
        if number in (signal.SIGTERM, signal.SIGINT):
            self.ended_by = number

    def wait(self, patience_s=PATIENCE_S):
        """The exit status, once it has ended by itself or by signal()."""
        return await_end(self.child, self.ended_by, patience_s)

    def stop(self):
        """Ends it, and returns its exit status; -9 if it had to be killed."""
        if self.child.poll() is None:
            try:
                end(self.child)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()


def make_query(name, rdtype="A", rdclass="IN", *, edns=1232, dnssec=False, rd=True, cd=False, ad=False, id=None):
    """A query; edns: the UDP size, or None for no OPT. The letter case of `name` is kept."""
    query = dns.message.make_query(name, rdtype, rdclass)
    query.flags = (dns.flags.RD if rd else 0) | (dns.flags.CD if cd else 0) | (dns.flags.AD if ad else 0)
    query.use_edns(edns=-1 if edns is None else 0, payload=edns or 0, ednsflags=dns.flags.DO if dnssec else 0)
    if id is not None:
        query.id = id
    return query


def ask(server, name, rdtype="A", rdclass="IN", *, tcp=False, timeout=6, source=None, **options):
    """Asks `server`, something with ip and port, and returns the response; AssertionError when none comes.

    dnspython checks that id and question fit. TC is handed back, not followed."""
    query = make_query(name, rdtype, rdclass, **options)
    way = dns.query.tcp if tcp else dns.query.udp
    try:
        return way(query, server.ip, port=server.port, timeout=timeout, source=source)
    except dns.exception.Timeout:
        raise AssertionError(f"no answer to {name} {rdtype} within {timeout} s") from None


def raw(server, octets, *, tcp=False, timeout=1.0, source=None):
    """Sends octets as they are (over TCP: framed) and returns the octets that come back, or None."""
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(timeout)
        if source:
            s.bind((source, 0))
        s.connect((server.ip, server.port))
        try:
            if not tcp:
                s.send(octets)
                return s.recv(65535)
            s.sendall(len(octets).to_bytes(2, "big") + octets)
            return read_frame(s)
        except (TimeoutError, ConnectionError):
            return None


def read_frame(stream):
    """The next message from a TCP connection; None at its end."""
    octets = b""
    wanted = 2
    while len(octets) < wanted:
        piece = stream.recv(wanted - len(octets))
        if not piece:
            return None
        octets += piece
        if len(octets) == 2 and wanted == 2:
            wanted = 2 + int.from_bytes(octets, "big")
    return octets[2:]


def rcode(octets):
    """The header's rcode of raw octets, as text; None for no answer."""
    return None if octets is None else dns.rcode.to_text(octets[3] & 15)


def addresses(response):
    """Texts of all A and AAAA records in the answer section, sorted."""
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return sorted(r.to_text() for rrset in response.answer if rrset.rdtype in kinds for r in rrset)


def count(response):
    """Records in the answer section."""
    return sum(len(rrset) for rrset in response.answer)


def ede(response):
    """The response's extended errors: [(code, text)]."""
    found = []
    for option in response.options:
        if option.otype == 15:
            octets = option.to_wire()
            found.append((int.from_bytes(octets[:2], "big"), octets[2:].decode("utf-8", "replace")))
    return found


Query = collections.namedtuple("Query", "ip port az proto name type id client edns flags spelled answer")

LOG_LINE = re.compile(
    r"query (\S+):(\d+) (\S+) (udp|tcp) (\S+) (\S+) id=(\d+) from=(\S+) edns=(\S+) flags=(\S+)(?: spelled=(\S+))? answer=(\S+)$"
)


class Sim(Program):
    """r53sim: `count` addresses, each in an AZ of its own (az1, az2, …), that serve zone texts; `at`: these Addresses instead."""

    def __init__(self, folder, zones, count=3, name="sim", faults=(), options=(), at=()):
        self.folder = folder
        self.control = os.path.join(folder, f"{name}.sock")
        self.log = os.path.join(folder, f"{name}.log")
        self.addresses = list(at)
        self.zone_files = []
        for i, text in enumerate(zones):
            self.zone_files.append(os.path.join(folder, f"{name}{i}.zone"))
            with open(self.zone_files[-1], "w", encoding="utf-8") as file:
                file.write(text)
        for i in range(0 if at else count):
            ip = LOOPBACK.ip()
            self.addresses.append(Address(ip, LOOPBACK.port(ip), f"az{i + 1}"))
        argv = [R53SIM, "--control", self.control, "--log", self.log, "--zone", *self.zone_files]
        argv += ["--address", *(f"{a.ip}:{a.port},az={a.az}" for a in self.addresses)]
        for fault in faults:
            argv += ["--fault", fault]
        super().__init__(name, folder, argv + list(options))
        # It stands for servers far away, which are not slower because this machine is busy.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self.pid, -10)
        wait_for(lambda: self.check_alive() or os.path.exists(self.control), what=f"{name}'s start")

    def ctl(self, where, *faults):
        """Changes faults; `where` is an Address, an index, an AZ's name or "all". Returns what ctl prints."""
        if isinstance(where, int):
            where = self.addresses[where]
        if isinstance(where, Address):
            where = f"{where.ip}:{where.port}"
        run = subprocess.run(
            [R53SIM, "ctl", "--control", self.control, where, *faults], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if run.returncode != 0:
            raise AssertionError(f"ctl {where} {faults}: {run.stderr}")
        return run.stdout

    def queries(self, name=None, type=None, **wanted):
        """The log's queries that fit: by name, type, and any field of Query (ip=, az=, proto=, …)."""
        if name is not None:
            wanted["name"] = name.lower().rstrip(".") + "."
        if type is not None:
            wanted["type"] = type
        found = []
        with contextlib.suppress(FileNotFoundError), open(self.log, encoding="ascii") as file:
            for line in file:
                match = LOG_LINE.match(line.rstrip("\n"))
                if not match:
                    if line.endswith("\n"):
                        raise AssertionError(f"a line of the log that cannot be read: {line!r}")
                    continue
                query = Query(match[1], int(match[2]), *match.groups()[2:])
                if all(getattr(query, field) == value for field, value in wanted.items()):
                    found.append(query)
        return found

    def count(self, name=None, type=None, **wanted):
        return len(self.queries(name, type, **wanted))

    def change_zone(self, index, text):
        """Gives the running simulator another text for a zone file."""
        with open(self.zone_files[index], "w", encoding="utf-8") as file:
            file.write(text)
        self.signal(signal.SIGHUP)


class Forwarder(Program):
    """r53fwd. `conf` is zones.conf without `listen`: it listens at an address of our choice, or `at` an Address, and at those of
    `more`, which may change before a reload. `program`: another one than R53FWD; `before`: what runs it, `prlimit …` say."""

    def __init__(self, folder, conf, name="r53fwd", options=(), env=None, ready=True, at=None, more=(), program=None, before=()):
        self.folder = folder
        self.ip = at.ip if at else LOOPBACK.ip()
        self.port = at.port if at else LOOPBACK.port(self.ip)
        self.more = list(more)
        self.conf = os.path.join(folder, f"{name}.conf")
        self.control = os.path.join(folder, f"{name}.control")
        self.write_conf(conf)
        super().__init__(name, folder, [*before, program or R53FWD, "--zones", self.conf, *options], env)
        if ready:
            wait_for(self.is_ready, what=f"{name}'s start")

    def write_conf(self, conf):
        with open(self.conf, "w", encoding="utf-8") as file:
            control = "" if "control:" in conf else f"\ncontrol: {self.control}\n"
            file.write(f"listen: {[f'{self.ip}:{self.port}', *self.more]}\n{conf}{control}")

    def reload(self, conf):
        self.write_conf(conf)
        self.signal(signal.SIGHUP)

    def signal(self, number):
        """SIGHUP is sent again as well (see await_end), until the log says something of a reload."""
        before = self.count_reloads()
        super().signal(number)
        for _ in range(3 if THREAD_SANITIZER and number == signal.SIGHUP else 0):
            with contextlib.suppress(AssertionError):
                wait_for(lambda: self.child.poll() is not None or self.count_reloads() > before, patience_s=3)
                break
            super().signal(number)

    def count_reloads(self):
        return len(re.findall(" loaded: |was not loaded|is not obeyed|everything stays as it was", self.text()))

    def command(self, *words, expect=0):
        """Runs `r53fwd WORDS` against this daemon's control socket; returns what it printed, and said to stderr."""
        argv = [R53FWD, *words, "--control", self.control]
        run = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self.folder)
        if expect is not None and run.returncode != expect:
            raise AssertionError(f"{' '.join(words)} ended with {run.returncode}, not {expect}: {run.stdout[:2000]}{run.stderr}")
        return run.stdout, run.stderr

    def status(self, expect=0):
        """What `r53fwd status --json` prints, read."""
        return json.loads(self.command("status", "--json", expect=expect)[0])

    def is_ready(self):
        """localhost is answered by the forwarder itself: asking for it costs no upstream a query."""
        self.check_alive()
        return raw(self, make_query("localhost").to_wire(), timeout=0.3) is not None


def find_program(name):
    """A server of the distribution; some live where a user's PATH does not lead."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise AssertionError(f"{name} is not installed")
    return path


class Nsd(Program):
    """NSD with zones {name: text}: an authoritative server that was not written by us. `at`: its Address, if not one of our choice."""

    def __init__(self, folder, zones, name="nsd", at=None, server_lines=""):
        self.ip = at.ip if at else LOOPBACK.ip()
        self.port = at.port if at else LOOPBACK.port(self.ip)
        conf = os.path.join(folder, f"{name}.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(
                f"server:\n  ip-address: {self.ip}@{self.port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {folder}\n"
                f"  database: \"\"\n  pidfile: \"\"\n  zonelistfile: {folder}/{name}.list\n  xfrdfile: {folder}/{name}.xfrd\n"
                f"  server-count: 1\n  rrl-ratelimit: 0\n{server_lines}\nremote-control:\n  control-enable: no\n"
            )
            for i, (zone, text) in enumerate(zones.items()):
                with open(os.path.join(folder, f"{name}{i}.zone"), "w", encoding="utf-8") as zone_file:
                    zone_file.write(text)
                file.write(f"zone:\n  name: {zone}\n  zonefile: {folder}/{name}{i}.zone\n")
        super().__init__(name, folder, [find_program("nsd"), "-d", "-c", conf])
        probe = make_query(next(iter(zones)), "SOA").to_wire()
        wait_for(lambda: self.check_alive() or rcode(raw(self, probe, timeout=0.3)) == "NOERROR", what=f"{name}'s start")


class Unbound(Program):
    """Unbound with lines of its `server:` section (local-data and the like), and anything else behind it."""

    def __init__(self, folder, server_lines="", rest="", name="unbound", at=None):
        self.ip = at.ip if at else LOOPBACK.ip()
        self.port = at.port if at else LOOPBACK.port(self.ip)
        conf = os.path.join(folder, f"{name}.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(
                f"server:\n  interface: {self.ip}@{self.port}\n  access-control: 127.0.0.0/8 allow\n  access-control: 10.0.0.0/8 allow\n"
                "  do-daemonize: no\n"
                f"  username: ''\n  chroot: ''\n  directory: {folder}\n  pidfile: ''\n  use-syslog: no\n  logfile: ''\n"
                f"  do-not-query-localhost: no\n  module-config: iterator\n  local-data: 'ready.test. A 127.0.0.1'\n"
                f"{server_lines}\nremote-control:\n  control-enable: no\n{rest}\n"
            )
        super().__init__(name, folder, [find_program("unbound"), "-d", "-c", conf])
        probe = make_query("ready.test").to_wire()
        wait_for(lambda: self.check_alive() or rcode(raw(self, probe, timeout=0.3)) == "NOERROR", what=f"{name}'s start")


class Stage:
    """A folder and the programs in it, ended in the opposite order."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="r53fwd-e2e.")
        self.programs = []

    def add(self, program):
        self.programs.append(program)
        return program

    def strike(self):
        """Ends all; returns what went wrong: programs that did not end cleanly, or that a sanitizer stopped."""
        wrong = []
        for program in reversed(self.programs):
            gone = program.child.poll() is not None
            status = program.stop()
            text = program.text()
            if status not in (0, -signal.SIGTERM) and not (gone and status >= 0):
                wrong.append(f"{program.name} ended with {status}:\n{text}")
            elif "Sanitizer" in text or "runtime error:" in text:
                wrong.append(f"a sanitizer on {program.name}:\n{text}")
        shutil.rmtree(self.folder, ignore_errors=True)
        return wrong

    def words(self):
        """What the programs said, and the last that the simulators were asked."""
        pieces = []
        for program in self.programs:
            pieces.append(f"--- {program.name} ---\n{program.text()}")
            if isinstance(program, Sim):
                pieces += program.queries()[-30:]
        return "\n".join(str(piece) for piece in pieces)


# Of an endpoint of which it is counted how often it is asked: nothing is asked twice because an answer takes long.
STEADY = "policy: ordered, hedge: 4s"


def endpoint_conf(sim, name="seoul", extra=""):
    """An inbound endpoint of zones.conf with the simulator's addresses. `extra`: more keys, `policy: ordered, hedge: off`."""
    listed = ", ".join(f"{{ip: {a.ip}, port: {a.port}, az: {a.az}}}" for a in sim.addresses)
    return f"  {name}: {{addresses: [{listed}]{', ' + extra if extra else ''}}}\n"


def zones_conf(endpoints, zones, world=None, rest=""):
    """zones.conf of texts: endpoints from endpoint_conf, zones like `{name: corp.test, to: seoul}`."""
    local = f"local-upstreams: ['{world.addresses[0].ip}:{world.addresses[0].port}']\n" if world else "local-upstreams: ['127.0.0.1:1']\n"
    listed = "".join(f"  - {zone}\n" for zone in zones)
    return f"inbound-endpoints:\n{''.join(endpoints)}zones:\n{listed}{local}{rest}"


class Case(unittest.TestCase):
    """A test with a stage of its own. `serve` sets it: an endpoint, a local upstream, and the forwarder between them and us."""

    maxDiff = None

    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self._strike)

    def _strike(self):
        words = None
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            words = self.stage.words()
        wrong = self.stage.strike()
        if words:
            print(f"\n{self.id()} failed; what the programs said:\n{words}", flush=True)
        if wrong:
            self.fail("\n".join(wrong))

    def sim(self, zones=(CORP, HASTY), **options):
        return self.stage.add(Sim(self.stage.folder, zones, **options))

    def world(self, **options):
        return self.stage.add(Sim(self.stage.folder, [WORLD], count=1, name="world", **options))

    def forwarder(self, conf, **options):
        return self.stage.add(Forwarder(self.stage.folder, conf, **options))

    ZONES = ("{name: [corp.test, hasty.test], to: seoul}",)

    def serve(self, endpoint="policy: ordered", zones=ZONES, rest="", count=3, faults=(), **options):
        """Returns (forwarder, endpoint's simulator, local upstream's simulator)."""
        sim = self.sim(count=count, faults=faults)
        world = self.world()
        conf = zones_conf([endpoint_conf(sim, extra=endpoint)], zones, world, rest)
        return self.forwarder(conf, **options), sim, world

    QUIET_ZONES = ("{name: [corp.test, hasty.test], to: seoul, association: off}",)

    def serve_settled(self, **options):
        """As serve, once the first probe of every address is over and nothing else is asked but by clients: what happens to an address
        from now on is a client's question's doing."""
        fwd, sim, world = self.serve(zones=self.QUIET_ZONES, **options)
        wait_for(lambda: all(a["queries"] > 0 and a["rtt_ms"] for a in self.addresses_of(fwd)), what="every address's first probe")
        return fwd, sim, world

    def addresses_of(self, fwd, endpoint="seoul"):
        """The addresses of an endpoint as `status --json` tells of them."""
        return next(e for e in fwd.status()["endpoints"] if e["name"] == endpoint)["addresses"]

    # What answers are expected to look like.

    def expect(self, response, rcode_text="NOERROR", *, ips=None, ede_code=None, tc=False):
        got = dns.rcode.to_text(response.rcode())
        self.assertEqual(got, rcode_text, f"EDE {ede(response)}\n{response}")
        self.assertEqual(bool(response.flags & dns.flags.TC), tc, response)
        self.assertFalse(response.flags & dns.flags.AA, "AA is never set")
        self.assertTrue(response.flags & dns.flags.RA)
        if ips is not None:
            self.assertEqual(addresses(response), sorted(ips))
        if ede_code is not None:
            self.assertIn(ede_code, [code for code, _ in ede(response)], response)
        return response

    @contextlib.contextmanager
    def within(self, seconds, at_least=0):
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        self.assertLessEqual(took, seconds)
        self.assertGreaterEqual(took, at_least)


def main():
    unittest.main(verbosity=2)
