#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a service manager sees: readiness, reloads, the watchdog, how it is in words, the stop. The manager is this process."""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time

from lib import (
    LOOPBACK,
    PATIENCE_S,
    R53FWD,
    Address,
    Case,
    Forwarder,
    addresses,
    ask,
    end,
    endpoint_conf,
    main,
    make_query,
    rcode,
    wait_for,
    zones_conf,
)

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
WALL = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Manager:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def close(self):
        self.socket.close()

    def hear(self, patience_s=PATIENCE_S):
        """The next message as {name: value}; None if there is none."""
        self.socket.settimeout(patience_s)
        try:
            return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))
        except (TimeoutError, BlockingIOError):
            return None

    def await_message(self, name, value="1"):
        """Reads until a message has that, and returns it."""
        return wait_for(lambda: (m := self.hear(1)) and m.get(name) == value and m, what=f"{name}={value}")

    def count(self, name, during_s):
        end, found = time.monotonic() + during_s, 0
        while (left := end - time.monotonic()) > 0:
            found += name in (self.hear(left) or {})
        return found


class Systemd(Case):
    def manager(self, address=None):
        manager = Manager(address or os.path.join(self.stage.folder, "notify"))
        self.addCleanup(manager.close)
        return manager

    def conf(self, sim, **more):
        return zones_conf([endpoint_conf(sim)], self.ZONES, self.world(), **more)

    def test_ready_is_said_once_it_serves_and_not_before(self):
        conf = self.conf(self.sim())
        for address in (None, f"@r53fwd-e2e-{os.getpid()}"):
            with self.subTest(address=address):
                manager = self.manager(address)
                fwd = self.forwarder(conf, env={"NOTIFY_SOCKET": manager.address}, ready=False)
                first = manager.hear()
                self.assertEqual(first, {"READY": "1", "STATUS": "2 zones; all endpoints are up"})
                # The first question after it is answered, over both.
                for tcp in (False, True):
                    self.expect(ask(fwd, "localhost", tcp=tcp))
                fwd.signal(signal.SIGTERM)
                self.assertEqual(manager.await_message("STOPPING")["STOPPING"], "1")
                self.assertEqual(fwd.wait(), 0)

    def test_start_that_fails_is_never_called_ready(self):
        manager = self.manager()
        fwd = Forwarder(self.stage.folder, "zones: nonsense\n", env={"NOTIFY_SOCKET": manager.address}, ready=False)
        self.assertEqual(fwd.wait(), 1)
        self.assertIsNone(manager.hear(0))

    def test_reload_is_announced_and_its_failure_shown(self):
        manager = self.manager()
        sim = self.sim()
        conf = self.conf(sim)
        fwd = self.forwarder(conf, env={"NOTIFY_SOCKET": manager.address})
        manager.await_message("READY")
        fwd.reload("zones: nonsense\n")
        begun = manager.await_message("RELOADING")
        self.assertLessEqual(int(begun["MONOTONIC_USEC"]), time.monotonic_ns() // 1000)
        self.assertIn("not taken", manager.await_message("READY")["STATUS"])
        fwd.reload(conf)
        manager.await_message("RELOADING")
        self.assertEqual(manager.await_message("READY")["STATUS"], "2 zones; all endpoints are up")
        # By the control socket as well.
        fwd.command("reload")
        manager.await_message("RELOADING")
        manager.await_message("READY")

    def test_endpoint_that_is_lost_is_seen_in_the_status_line(self):
        manager = self.manager()
        fwd, sim, _ = self.serve(env={"NOTIFY_SOCKET": manager.address})
        manager.await_message("READY")
        self.assertEqual(addresses(self.expect(ask(fwd, "www.corp.test"))), ["10.20.1.1", "10.20.1.2"])
        sim.ctl("all", "silent")
        ask(fwd, "new.corp.test")
        manager.await_message("STATUS", "2 zones; seoul is down, known names are answered from the cache")
        sim.ctl("all", "heal")
        manager.await_message("STATUS", "2 zones; all endpoints are up")

    def test_watchdog_is_fed_only_while_every_worker_turns(self):
        manager = self.manager()
        fwd, _, _ = self.serve(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}, options=["--workers", "2"])
        manager.await_message("READY")
        for _ in range(3):
            manager.await_message("WATCHDOG")
        worker = self.thread(fwd, "worker 2")
        if LIBC.ptrace(PTRACE_ATTACH, worker, None, None) != 0:
            self.skipTest(f"a thread cannot be stopped here: {os.strerror(ctypes.get_errno())}")
        os.waitpid(worker, WALL)
        try:
            while manager.hear(0):
                pass
            # What was answered before the stop is still good for one, at the edge for two.
            self.assertLessEqual(manager.count("WATCHDOG", 1.5), 2)
        finally:
            LIBC.ptrace(PTRACE_DETACH, worker, None, None)
        manager.await_message("WATCHDOG")

    def test_without_a_watchdog_nothing_is_fed(self):
        manager = self.manager()
        self.serve(env={"NOTIFY_SOCKET": manager.address})
        manager.await_message("READY")
        self.assertEqual(manager.count("WATCHDOG", 1), 0)

    PASS = "import os, sys\n" \
        "fds = [int(fd) for fd in sys.argv[1].split(',')]\n" \
        "for i, fd in enumerate(fds): os.dup2(fd, 3 + i)\n" \
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))\n" \
        "os.execv(sys.argv[2], sys.argv[2:])\n"

    def activate(self, sockets, *words):
        """r53fwd as a service manager starts it that has bound the sockets."""
        # Numbers far from 3, 4, …, which the program below gives them.
        kept = [fcntl.fcntl(s, fcntl.F_DUPFD, 100) for s in sockets]
        said = os.path.join(self.stage.folder, "activated.err")
        with open(said, "ab") as err:
            argv = [sys.executable, "-c", self.PASS, ",".join(map(str, kept)), R53FWD, *words]
            child = subprocess.Popen(argv, pass_fds=kept, stderr=err, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for fd in kept:
            os.close(fd)
        self.addCleanup(lambda: child.poll() is None and child.kill())

        def text():
            with open(said, encoding="utf-8") as file:
                return file.read()

        return child, text

    def test_sockets_that_are_passed_are_served_and_lose_nothing_over_a_restart(self):
        ip = LOOPBACK.ip()
        at = Address(ip, LOOPBACK.port(ip), None)
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        with udp, tcp:
            # As systemd has them: no SO_REUSEPORT, so nobody could bind beside them.
            udp.bind((at.ip, at.port))
            tcp.bind((at.ip, at.port))
            tcp.listen()
            conf = os.path.join(self.stage.folder, "activated.conf")
            with open(conf, "w", encoding="utf-8") as file:
                file.write(f"listen: ['{at.ip}:{at.port}']\nzones: []\nlocal-upstreams: ['127.0.0.1:1']\ncontrol: {conf}.sock\n")
            for _ in range(2):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    # Asked while nobody runs: it waits in the socket's queue.
                    client.settimeout(PATIENCE_S)
                    client.sendto(make_query("localhost").to_wire(), (at.ip, at.port))
                    child, said = self.activate((udp, tcp), "--zones", conf, "--workers", "3")
                    self.assertEqual(rcode(client.recv(4096)), "NOERROR")
                for i in range(30):
                    self.expect(ask(at, "localhost", tcp=bool(i % 2)))
                wait_for(lambda: "over TCP is a socket of the service manager" in said(), what="the log")
                self.assertEqual(end(child), 0)

    def test_passed_socket_hears_again_when_a_reload_brings_its_address_back(self):
        """Of one kind alone, the other being bound by us: the manager's socket outlives us, and whatever was done to it."""
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with self.subTest(kind=kind), socket.socket(socket.AF_INET, kind) as passed:
                ips = [LOOPBACK.ip() for _ in range(2)]
                away, stays = (Address(ip, LOOPBACK.port(ip), None) for ip in ips)
                passed.bind((away.ip, away.port))
                if kind == socket.SOCK_STREAM:
                    passed.listen()
                conf = os.path.join(self.stage.folder, f"activated-{kind}.conf")

                def listen(*where):
                    with open(conf, "w", encoding="utf-8") as file:
                        listed = [f"{a.ip}:{a.port}" for a in where]
                        file.write(f"listen: {listed}\nzones: []\nlocal-upstreams: ['127.0.0.1:1']\ncontrol: {conf}.sock\n")

                def reload(*where):
                    listen(*where)
                    subprocess.run([R53FWD, "reload", "--control", f"{conf}.sock"], check=True, capture_output=True, timeout=PATIENCE_S)

                listen(away, stays)
                child, _ = self.activate((passed,), "--zones", conf)
                self.expect(ask(away, "localhost", tcp=kind == socket.SOCK_STREAM))
                reload(stays)
                reload(away, stays)
                for tcp in (False, True):
                    self.expect(ask(away, "localhost", tcp=tcp))
                self.assertEqual(end(child), 0)

    def test_passed_socket_that_listen_does_not_name_is_said(self):
        ip = LOOPBACK.ip()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((ip, 0))
            own = LOOPBACK.ip()
            at = Address(own, LOOPBACK.port(own), None)
            conf = os.path.join(self.stage.folder, "activated.conf")
            with open(conf, "w", encoding="utf-8") as file:
                file.write(f"listen: ['{at.ip}:{at.port}']\nzones: []\nlocal-upstreams: ['127.0.0.1:1']\ncontrol: {conf}.sock\n")
            child, said = self.activate((udp,), "--zones", conf)
            wait_for(lambda: f"passed a socket for {ip}:{udp.getsockname()[1]} over UDP, which `listen` does not name" in said(), what="it")
            self.expect(ask(at, "localhost"))
            self.assertEqual(end(child), 0)

    @staticmethod
    def thread(program, name):
        """The id of its thread of that name."""
        tasks = f"/proc/{program.pid}/task"

        def find():
            for tid in os.listdir(tasks):
                with open(f"{tasks}/{tid}/comm", encoding="ascii") as file:
                    if file.read().strip() == name:
                        return int(tid)
            return None

        return wait_for(find, what=f"thread {name}")


if __name__ == "__main__":
    main()
