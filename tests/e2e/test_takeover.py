# SPDX-License-Identifier: Apache-2.0
"""`--takeover`: an upgrade while clients ask. What counts is that none of them notices, whichever side fails, and when."""

import array
import collections
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unittest

from lib import (
    CORP,
    LOOPBACK,
    PATIENCE_S,
    R53FWD,
    Address,
    addresses,
    ask,
    endpoint_conf,
    main,
    make_query,
    raw,
    rcode,
    read_frame,
    wait_for,
    zones_conf,
)
from load import Loaded, failed, summary

ROUTE = "{name: corp.test, to: seoul}"
WWW = ["10.20.1.1", "10.20.1.2"]

# What is said over the bridge (net/bridge.h).
SERVES, KEEPS, YOURS = b"s", b"k", b"y"


# What somebody makes of r53fwd-http: it hears no SIGTERM, and asks for the DNS server over and over.
INTRUDER = '''#!{python}
import signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    answer = "-"
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("{control}")
            s.sendall(b'{{"command": "takeover"}}\\n')
            answer = s.recv(4096).decode().strip() or "-"
    except OSError:
        pass
    with open("{said}", "a") as file:
        print(answer, file=file)
    time.sleep(0.01)
'''


def new_name(i):
    return f"q{i}.wild.corp.test"


def is_listening(path):
    """As the kernel lists it: knocking would be heard."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        return any(line.rstrip().endswith(path) and " 00010000 " in line for line in file)


def read_line(client):
    """All of a command, which may come in pieces."""
    while octets := client.recv(1000):
        if octets.endswith(b"\n"):
            return
    raise AssertionError("the connection ended without a line")


class Clients:
    """Clients of TCP, each a thread that asks, waits for the answer, and asks again: half of them over one connection for as long as
    it holds, half over a new one each time. `failures` says what went wrong."""

    def __init__(self, server, count=6):
        self.server = server
        self.failures = []
        self.answered = collections.Counter()
        self.reconnected = 0
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        stream, asked = None, 0
        while not self.stopping:
            try:
                if stream is None:
                    stream = socket.create_connection((self.server.ip, self.server.port), timeout=PATIENCE_S)
                asked += 1
                octets = make_query(f"t{i}-{asked}.wild.corp.test" if asked % 2 else "www.corp.test", id=asked % 65536).to_wire()
                stream.sendall(len(octets).to_bytes(2, "big") + octets)
                answer = read_frame(stream)
                if rcode(answer) != "NOERROR" or answer[:2] != octets[:2]:
                    raise AssertionError(f"{rcode(answer)} to question {asked}")
                self.answered[i] += 1
                if i % 2:
                    stream.close()
                    stream = None
            except (OSError, AssertionError) as trouble:
                self.failures.append(f"client {i}: {trouble!r}")
                stream = None
        if stream:
            stream.close()

    def finish(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Takeover(Loaded):
    def setUp(self):
        super().setUp()
        ip = LOOPBACK.ip()
        self.at = Address(ip, LOOPBACK.port(ip), None)
        self.control = os.path.join(self.stage.folder, "control")
        self.local = self.world()
        self.count = 0

    def conf(self, sim, rest=""):
        return zones_conf([endpoint_conf(sim)], [ROUTE], self.local, rest=f"control: {self.control}\n{rest}")

    def instance(self, conf, *options, ready=True, **more):
        self.count += 1
        return self.forwarder(conf, at=self.at, name=f"r53fwd{self.count}", options=options, ready=ready, **more)

    def take_over(self, conf, old, *options, **more):
        """Starts the next one, and returns it when the one before has stopped as it should."""
        new = self.instance(conf, "--takeover", *options, ready=False, **more)
        self.await_log(new, f"process {old.pid} has stopped: taken over")
        self.assertEqual(old.wait(), 0, old.text())
        self.assertIn(f"process {new.pid} has taken over", old.text())
        return new

    def await_log(self, program, text):
        return wait_for(lambda: program.check_alive() or text in program.text(), what=f"`{text}`")

    def await_end(self, program, status, *words):
        self.assertEqual(program.wait(), status, program.text())
        for word in words:
            self.assertIn(word, program.text())

    def told_right(self, at=None, name="www.corp.test"):
        for tcp in (False, True):
            self.expect(ask(at or self.at, name, tcp=tcp), ips=WWW)

    def status(self, instance):
        instance.control = self.control
        return instance.status()


class Upgrade(Takeover):
    def test_takeovers_in_a_row_under_load_lose_no_query(self):
        """With other numbers of workers each time, so that sockets are shared out anew, doubled up and added to."""
        sim = self.sim(faults=["all,delay 20ms"])
        conf = self.conf(sim)
        fwd = self.instance(conf, "--workers", "2")
        load = self.load(fwd, lambda i: new_name(i) if i % 2 else "www.corp.test", 300)
        clients = Clients(self.at)
        self.addCleanup(clients.finish)
        for workers in (1, 4, 3, 2, 2):
            self.go_on(load, 0.3)
            before = clients.answered.copy()
            fwd = self.take_over(conf, fwd, "--workers", str(workers))
            wait_for(lambda b=before: all(clients.answered[i] > b[i] for i in range(6)) or clients.failures, what="going on over TCP")
        self.go_on(load, 0.3)
        sent = load.finish()
        clients.finish()
        self.assertEqual(failed(sent), [], summary(sent))
        self.assertEqual(clients.failures, [])
        self.assertEqual(self.status(fwd)["workers"], 2)

    def test_addresses_may_change_on_the_way(self):
        """One stays, one goes and is drained to the last packet, one comes; and 0.0.0.0 is narrowed down to an address of it."""
        gone, come, narrow = (Address(ip, LOOPBACK.port("0.0.0.0"), None) for ip in (LOOPBACK.ip(), LOOPBACK.ip(), LOOPBACK.ip()))
        sim = self.sim(faults=["all,delay 200ms"])
        conf = self.conf(sim)
        old = self.instance(conf, more=[f"{gone.ip}:{gone.port}", f"0.0.0.0:{narrow.port}"])
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        for s in (udp, tcp):
            self.addCleanup(s.close)
            s.settimeout(PATIENCE_S)
            s.connect((gone.ip, gone.port))
        for i in range(20):
            octets = make_query(f"g{i}.wild.corp.test", id=i).to_wire()
            udp.send(octets)
            tcp.sendall(len(octets).to_bytes(2, "big") + octets)
        new = self.take_over(conf, old, more=[f"{come.ip}:{come.port}", f"{narrow.ip}:{narrow.port}"])
        for receive in (lambda: udp.recv(4096), lambda: read_frame(tcp)):
            got = [receive() for _ in range(20)]
            self.assertEqual({rcode(octets) for octets in got}, {"NOERROR"})
            self.assertEqual(sorted(int.from_bytes(octets[:2], "big") for octets in got), list(range(20)))
        for at in (self.at, come, narrow):
            self.told_right(at)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((gone.ip, gone.port)).close()
        self.assertIsNone(raw(Address("127.0.0.1", narrow.port, None), make_query("localhost").to_wire(), timeout=0.3))
        # The new one's sockets are its own to change.
        new.more = []
        new.reload(conf)
        self.await_log(new, "loaded: 1 zones")
        wait_for(lambda: raw(come, make_query("localhost").to_wire(), timeout=0.2) is None, what="the end of a listener")
        self.told_right()

    def test_only_the_survivor_has_the_control_socket_and_writes_the_snapshot(self):
        path = os.path.join(self.stage.folder, "cache")
        sim = self.sim()
        conf = self.conf(sim, f"cache: {{persist: {path}, persist-interval: 1s}}\n")
        old = self.instance(conf)
        before = os.stat(self.control)
        wait_for(lambda: self.told_right() or os.path.exists(path), what="the first snapshot")
        new = self.take_over(conf, old)
        after = os.stat(self.control)
        self.assertEqual((before.st_ino, stat.S_IMODE(after.st_mode)), (after.st_ino, 0o660))
        self.assertEqual(self.status(new)["endpoints"][1]["name"], "seoul")
        self.assertNotIn("are kept in", old.text())  # what it says when a stop has written
        os.unlink(path)
        self.expect(ask(self.at, new_name(1)))
        wait_for(lambda: os.path.exists(path), what="the survivor's snapshot")
        self.assertEqual(new.stop(), 0)
        self.assertIn("are kept in", new.text())
        self.assertFalse(os.path.exists(self.control))

    def test_cache_goes_along_without_a_disk(self):
        """The path is cut while the program is upgraded: what was known is served all the same."""
        sim = self.sim()
        conf = self.conf(sim)
        old = self.instance(conf)
        self.told_right()
        sim.ctl("all", "silent")
        new = self.take_over(conf, old)
        self.assertIn("answers came along", new.text())
        self.told_right()
        self.assertGreater(self.status(new)["cache"]["entries"], 0)
        another = self.take_over(conf, new)  # what was taken can be given on
        self.told_right()
        self.assertEqual(another.stop(), 0)

    def test_what_was_flushed_does_not_come_back_from_the_disk(self):
        path = os.path.join(self.stage.folder, "cache")
        sim = self.sim()
        conf = self.conf(sim, f"cache: {{persist: {path}}}\n")
        old = self.instance(conf)
        self.told_right()
        self.assertEqual(old.stop(), 0)  # which writes it
        old = self.instance(conf)
        self.assertIn("answers were taken from", old.text())
        old.control = self.control
        old.command("flush", "www.corp.test")
        sim.ctl("all", "silent")
        new = self.take_over(conf, old)
        self.assertNotIn("answers were taken from", new.text())
        self.expect(ask(self.at, "www.corp.test"), "SERVFAIL")

    def test_page_that_will_not_go_is_ended_with_its_daemon(self):
        """One that has been taken over itself."""
        ip, folder = LOOPBACK.ip(), os.path.join(self.stage.folder, "bin")
        port = LOOPBACK.port(ip)
        os.mkdir(folder)
        os.chmod(self.stage.folder, 0o755)
        shutil.copy(R53FWD, os.path.join(folder, "r53fwd"))
        said = os.path.join(self.stage.folder, "said")
        with open(os.path.join(folder, "r53fwd-http"), "w", encoding="ascii") as file:
            file.write(INTRUDER.format(python=sys.executable, control=self.control, said=said))
        os.chmod(file.name, 0o755)
        conf = self.conf(self.sim(), f"http: '{ip}:{port}'\nsandbox: off\n")
        old = self.instance(conf, program=os.path.join(folder, "r53fwd"))

        def answers():
            with contextlib.suppress(FileNotFoundError), open(said, encoding="ascii") as file:
                return file.read().splitlines()
            return []

        wait_for(lambda: len(answers()) > 3, what="its first questions")
        self.take_over(conf, old, program=R53FWD)
        asked = len(answers())
        self.told_right()
        self.assertLessEqual(len(answers()), asked + 1)  # it is gone
        self.assertEqual([a for a in answers() if "nothing that r53fwd-http may ask for" not in a and a != "-"], [])

    def test_drained_addresses_stay_drained(self):
        sim = self.sim()
        conf = self.conf(sim)
        old = self.instance(conf)
        address = sim.addresses[1].ip
        old.control = self.control
        old.command("drain", address)
        new = self.take_over(conf, old)

        def states():
            return {a["address"].split(":")[0]: a["state"] for a in self.addresses_of(new)}

        new.control = self.control
        self.assertEqual(states()[address], "drained")
        self.assertEqual(list(states().values()).count("drained"), 1)
        new.command("undrain", address)
        self.assertNotEqual(states()[address], "drained")

    def test_status_page_comes_over_as_well(self):
        ip = LOOPBACK.ip()
        port = LOOPBACK.port(ip)
        conf = self.conf(self.sim(), f"http: '{ip}:{port}'\n")

        def uptime():
            with contextlib.suppress(OSError, ValueError):
                connection = http.client.HTTPConnection(ip, port, timeout=1)
                with contextlib.closing(connection):
                    connection.request("GET", "/status.json")
                    return json.loads(connection.getresponse().read())["uptime_seconds"]
            return None

        fwd = self.instance(conf)
        wait_for(lambda: (uptime() or 0) > 2, what="the page")
        begun = time.monotonic() - 2  # or a little earlier
        self.take_over(conf, fwd)
        wait_for(lambda: (uptime() or begun) < time.monotonic() - begun - 1, what="the page of the next instance")

    def test_control_socket_may_move(self):
        sim = self.sim()
        old = self.instance(self.conf(sim))
        other = os.path.join(self.stage.folder, "other")
        # It is the one before that is asked, at its own path: with another one in the file nobody is found there.
        late = self.instance(self.conf(sim).replace(self.control, other), "--takeover", ready=False)
        self.await_end(late, 1, f"no instance runs at {other}", "cannot listen on")
        self.told_right()
        self.assertEqual(old.stop(), 0)

    def test_without_an_instance_it_starts_as_usual(self):
        sim = self.sim()
        conf = self.conf(sim)
        fwd = self.instance(conf, "--takeover")
        self.assertIn(f"no instance runs at {self.control}", fwd.text())
        self.told_right()
        # A socket's file that was left behind is nobody either.
        fwd.child.kill()
        fwd.child.wait()
        self.stage.programs.remove(fwd)
        self.assertTrue(os.path.exists(self.control))
        fwd = self.instance(conf, "--takeover")
        self.told_right()
        self.status(fwd)


class Failing(Takeover):
    """Whoever dies, refuses or lies: one instance serves at the end."""

    def receive_offer(self):
        """As another instance would ask: (answer, bridge, all other descriptors as sockets)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE_S)
            s.connect(self.control)
            s.sendall(b'{"command": "takeover"}\n')
            octets, fds = b"", []
            while not octets.endswith(b"\n"):
                piece, more, _, _ = socket.recv_fds(s, 65536, 253)
                self.assertTrue(piece)
                octets += piece
                fds += more
        sockets = [socket.socket(fileno=fd) for fd in fds if stat.S_ISSOCK(os.fstat(fd).st_mode)]
        self.files = [open(fd, "rb") for fd in fds if stat.S_ISREG(os.fstat(fd).st_mode)]  # the cache
        for file in self.files:
            self.addCleanup(file.close)
        for s in sockets:
            self.addCleanup(s.close)
        return json.loads(octets), sockets[0] if sockets else None, sockets[1:]

    def test_successor_that_dies_before_it_serves_changes_nothing(self):
        path = os.path.join(self.stage.folder, "cache")
        sim = self.sim()
        fwd = self.instance(self.conf(sim, f"cache: {{persist: {path}, persist-interval: 1s}}\n"))
        for i in range(3):
            answer, bridge, sockets = self.receive_offer()
            self.assertEqual(answer["pid"], fwd.pid)
            self.assertEqual(answer["descriptors"], len(sockets) + 1 + len(self.files))
            self.assertEqual(os.pread(self.files[0].fileno(), 8, 0), b"R53CACHE")
            again, _, _ = self.receive_offer()
            self.assertIn("about to take over", again["error"])
            for s in (bridge, *sockets):
                s.close()
            wait_for(lambda n=i + 1: fwd.text().count("has ended before it served; we serve on") == n, what="the warning")
            self.told_right()
        # The snapshot, which rested meanwhile, is written again.
        wait_for(lambda: self.expect(ask(self.at, new_name(time.monotonic_ns()))) and os.path.exists(path), what="the snapshot")
        self.status(fwd)

    def test_reload_by_signal_waits_for_the_end_of_an_offer(self):
        """What it changed would be lost, as by command."""
        fwd = self.instance(self.conf(self.sim()))
        _, bridge, sockets = self.receive_offer()
        fwd.signal(signal.SIGHUP)
        self.await_log(fwd, "SIGHUP is not obeyed")
        for s in (bridge, *sockets):
            s.close()
        self.await_log(fwd, "we serve on")
        fwd.signal(signal.SIGHUP)
        self.await_log(fwd, "loaded: 1 zones")

    def test_successor_that_goes_away_without_its_answer_changes_nothing(self):
        fwd = self.instance(self.conf(self.sim()))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.control)
            s.sendall(b'{"command": "takeover"}\n')
        self.await_log(fwd, "we serve on")
        self.told_right()

    def test_one_that_stops_in_the_middle_leaves_its_sockets_to_the_other(self):
        """The other one is us: it has everything, and reads what came in between."""
        fwd = self.instance(self.conf(self.sim()), "--workers", "1")
        _, bridge, sockets = self.receive_offer()
        fwd.child.kill()
        fwd.child.wait()
        self.stage.programs.remove(fwd)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.connect((self.at.ip, self.at.port))
            client.send(b"are you there?")
            udp = next(s for s in sockets if s.type == socket.SOCK_DGRAM)
            udp.settimeout(PATIENCE_S)
            self.assertEqual(udp.recv(100), b"are you there?")
        self.assertEqual(bridge.recv(1), b"")

    def test_one_that_is_stopped_in_the_middle_leaves_its_control_socket_to_the_other(self):
        """The offer goes through our hands, so that the other one has it only when the one before is gone."""
        conf = self.conf(self.sim())
        old = self.instance(conf)
        _, bridge, sockets = self.receive_offer()
        aside = self.control + ".aside"
        os.rename(self.control, aside)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(PATIENCE_S)
            listener.bind(self.control)
            listener.listen()
            new = self.instance(conf, "--takeover", ready=False)
            client, _ = listener.accept()
        with client:
            client.settimeout(PATIENCE_S)
            read_line(client)
            os.rename(aside, self.control)
            self.assertEqual(old.stop(), 0)
            self.assertTrue(os.path.exists(self.control))
            socket.send_fds(client, [b'{"pid": 1}\n'], [s.fileno() for s in (bridge, *sockets)])
            for s in (bridge, *sockets):
                s.close()
        self.await_log(new, "has ended before it handed over")
        self.told_right()
        self.status(new)
        self.assertEqual(new.stop(), 0)
        self.assertFalse(os.path.exists(self.control))

    def offer(self, *, then, answer=b'{"pid": 1}\n', sockets=None):
        """An instance of our own making at the control socket: answers one command with `answer` and sockets, then does `then` with
        its end of the bridge."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.control)
        listener.listen()
        if sockets is None:
            sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
            for s in sockets:
                s.bind((self.at.ip, self.at.port))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

        def run():
            client, _ = listener.accept()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with client, ours:
                client.settimeout(PATIENCE_S)
                read_line(client)
                with theirs:
                    fds = array.array("i", [s.fileno() for s in (theirs, listener, *sockets)]) if sockets else array.array("i")
                    client.sendmsg([answer], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if sockets else [])
                for s in sockets:
                    s.close()
                ours.settimeout(PATIENCE_S)
                then(ours)
            listener.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, PATIENCE_S)

    @contextlib.contextmanager
    def stub(self, *become, answer):
        """A program at the control socket that gives `answer` to one command, and ends."""
        script = (
            f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind({self.control!r})\ns.listen()\nc, _ = s.accept()\n"
            f"while b'\\n' not in c.recv(1000): pass\nif {answer!r}: c.send({answer!r})\n"
        )
        with subprocess.Popen([*become, "/usr/bin/python3", "-c", script]) as program:
            wait_for(lambda: is_listening(self.control), what="the stub")
            yield
            self.assertEqual(program.wait(PATIENCE_S), 0)

    def test_one_that_dies_before_it_hands_over_is_survived(self):
        sim = self.sim()
        self.offer(then=lambda bridge: bridge.recv(1))  # hears that the other serves, and is gone
        fwd = self.instance(self.conf(sim), "--takeover")
        self.await_log(fwd, "has ended before it handed over")
        self.told_right()
        self.status(fwd)
        self.assertEqual(fwd.stop(), 0)

    def test_page_of_the_one_before_may_only_look(self):
        """Its last questions may wait in the control socket yet. Here it is us."""
        self.offer(then=lambda bridge: bridge.recv(1), answer=b'{"pid": 1, "pages": %d}\n' % os.getpid())
        fwd = self.instance(self.conf(self.sim()), "--takeover")
        self.await_log(fwd, "has ended before it handed over")
        for command in ("flush", "drain", "takeover"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(PATIENCE_S)
                s.connect(self.control)
                s.sendall(json.dumps({"command": command}).encode() + b"\n")
                self.assertIn("nothing that r53fwd-http may ask for", json.loads(s.recv(4096))["error"])
        self.status(fwd)  # another process

    def test_one_that_changes_its_mind_goes_on(self):
        sim = self.sim()
        self.offer(then=lambda bridge: (bridge.recv(1), bridge.send(b"n"), bridge.recv(1)))
        fwd = self.instance(self.conf(sim), "--takeover", ready=False)
        self.await_end(fwd, 1, "took too long to take over")

    def test_refusals_and_nonsense_end_the_start_with_a_sentence(self):
        sim = self.sim()
        for answer, words in (
            (b'{"error": "not \\u001b now"}\n', "not ? now"),
            (b'{"error": "there is no command `takeover`"}\n', "there is no command"),
            (b"[]\n", "is no r53fwd"),
            (b"\xff{\n", "is no r53fwd"),
            (b'{"pid": 1}\n', "brought no sockets"),
        ):
            with self.subTest(answer=answer):
                self.offer(then=lambda bridge: None, answer=answer, sockets=[])
                try:
                    fwd = self.instance(self.conf(sim), "--takeover", ready=False)
                    self.await_end(fwd, 1, "cannot take over", words)
                finally:
                    os.unlink(self.control)

    def test_one_that_dies_while_it_is_asked_is_nobody(self):
        with self.stub(answer=None):
            fwd = self.instance(self.conf(self.sim()), "--takeover")
            self.assertIn("no instance runs", fwd.text())
            self.told_right()

    def test_configuration_that_cannot_be_served_leaves_the_old_one_alone(self):
        sim = self.sim()
        fwd = self.instance(self.conf(sim))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((LOOPBACK.ip(), 0))
            where = "%s:%d" % taken.getsockname()
            new = self.instance(self.conf(sim), "--takeover", ready=False, more=[where])
            self.await_end(new, 1, f"cannot listen on {where}")
        self.await_log(fwd, "we serve on")
        self.told_right()
        self.status(fwd)

    @unittest.skipIf(os.geteuid() != 0 or not shutil.which("setpriv"), "skipped: only root can become others, with setpriv")
    def test_only_root_and_the_same_user_may_take_over(self):
        sim = self.sim()
        os.chmod(self.stage.folder, 0o755)
        own = shutil.copy(R53FWD, self.stage.folder)
        fwd = self.instance(self.conf(sim))
        conf = os.path.join(self.stage.folder, "r53fwd1.conf")

        def run_as(uid, gid, *argv):
            become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
            return subprocess.run([*become, *argv], capture_output=True, text=True, timeout=PATIENCE_S, check=False)

        stranger = run_as(65534, 65534, own, "--takeover", "--zones", conf)
        self.assertEqual(stranger.returncode, 1)
        self.assertIn("cannot take over", stranger.stderr)
        self.assertIn("ermission", stranger.stderr)
        member = run_as(65534, 0, own, "--takeover", "--zones", conf)
        self.assertEqual(member.returncode, 1)
        self.assertIn("to take over is for root and for the daemon's own user", member.stderr)
        self.assertEqual(run_as(65534, 0, own, "status", "--alive", "--control", self.control).returncode, 0)
        self.assertNotIn("wants to take over", fwd.text())
        self.told_right()

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root becomes another user")
    def test_root_takes_over_from_the_user_that_it_becomes(self):
        os.chmod(self.stage.folder, 0o755)
        self.control = os.path.join(self.stage.folder, "run", "control")
        conf = self.conf(self.sim(), "user: nobody\n")
        fwd = self.instance(conf, "--workers", "1")
        for workers in ("2", "1"):
            fwd = self.take_over(conf, fwd, "--workers", workers)
            self.told_right()
            self.status(fwd)
        with open(f"/proc/{fwd.pid}/status", encoding="ascii") as file:
            self.assertNotIn("Uid:\t0", file.read())
        self.assertNotIn("only 1 workers", fwd.text())

    @unittest.skipIf(os.geteuid() != 0 or not shutil.which("setpriv"), "skipped: only root can become others, with setpriv")
    def test_sockets_of_another_user_are_not_taken(self):
        """Who owns them could read along."""
        os.chmod(self.stage.folder, 0o777)
        with self.stub("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", answer=b"{}\n"):
            fwd = self.instance(self.conf(self.sim()), "--takeover", ready=False)
            self.await_end(fwd, 1, "it runs as another user")

    def test_whoever_is_killed_whenever_one_is_left(self):
        """kill -9 of one of the two at some moment of a takeover. What it had in flight is lost with it; nothing else is."""
        sim = self.sim()
        conf = self.conf(sim)
        fwd = self.instance(conf)
        for i in range(12):
            new = self.instance(conf, "--takeover", ready=False)
            if i % 2:
                wait_for(lambda f=fwd: "wants to take over" in f.text(), what="the question")
            victim = (fwd, new)[i // 2 % 2]
            time.sleep(0.004 * i)  # no event to wait for: that is what is tried
            victim.signal(signal.SIGKILL)
            victim.child.wait()
            left = new if victim is fwd else fwd
            if victim is new and f"process {new.pid} wants to take over" in fwd.text():
                outcome = f"process {new.pid} (has taken over|wanted to take over and has ended)"
                wait_for(lambda f=fwd, o=outcome: f.child.poll() is not None or re.search(o, f.text()), what="the outcome")
            if victim is new and fwd.child.poll() is None and f"process {new.pid} has taken over" in fwd.text():
                # It had taken over already: then none is left, and the next one begins anew.
                self.assertEqual(fwd.wait(), 0)
                left = self.instance(conf, "--takeover", ready=False)
            elif victim is new and fwd.child.poll() is not None:
                left = self.instance(conf, "--takeover", ready=False)
            self.stage.programs.remove(victim)
            wait_for(left.is_ready, what="serving")
            self.told_right()
            fwd = left
        self.status(fwd)


if __name__ == "__main__":
    main()
