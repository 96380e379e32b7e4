#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a service manager sees: readiness, reloads, the watchdog, how it is in words, the stop. The manager is this process."""

import ctypes
import os
import signal
import socket
import time

from lib import PATIENCE_S, Case, Forwarder, addresses, ask, endpoint_conf, main, wait_for, zones_conf

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
