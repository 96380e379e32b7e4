# SPDX-License-Identifier: Apache-2.0
"""The control socket of a running daemon, and the commands that use it."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time

import dns.rcode

from lib import (
    AT_ONCE_S,
    PATIENCE_S,
    R53FWD,
    STEADY,
    Case,
    Program,
    addresses,
    ask,
    ede,
    endpoint_conf,
    main,
    wait_for,
    zones_conf,
)

WWW = ["10.20.1.1", "10.20.1.2"]


def say(path, octets, half_close=False, timeout=PATIENCE_S):
    """Sends octets to the socket, and returns all that comes back."""
    got = b""
    with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.settimeout(timeout)
        s.connect(path)
        s.sendall(octets)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        while piece := s.recv(65536):
            got += piece
    return got


def tell(fwd, **command):
    return json.loads(say(fwd.control, json.dumps(command).encode() + b"\n"))


def endpoint(status, name="seoul"):
    return next(e for e in status["endpoints"] if e["name"] == name)


def address(status, a, name="seoul"):
    return next(x for x in endpoint(status, name)["addresses"] if x["address"] == f"{a.ip}:{a.port}")


class Status(Case):
    def test_promised_names_are_there(self):
        """JSON: {version, uptime_seconds, workers, endpoints: [{name, state, addresses: [{address, az, state, up, rtt_ms, qps,
        queries, timeouts}]}], zones: [{name, to, state}], cache: {entries, bytes, hits, misses, stale}}"""
        fwd, sim, _ = self.serve()
        for _ in range(3):
            ask(fwd, "www.corp.test")
        wait_for(lambda: endpoint(fwd.status())["addresses"][2]["rtt_ms"], what="the first probes")
        status = fwd.status()
        self.assertRegex(status["version"], r"^\d+\.\d+\.\d+$")
        self.assertGreaterEqual(status["uptime_seconds"], 0)
        self.assertGreaterEqual(status["workers"], 1)
        seoul = endpoint(status)
        self.assertEqual((seoul["state"], seoul["policy"], seoul["kind"]), ("up", "ordered", "inbound-endpoint"))
        self.assertEqual([a["az"] for a in seoul["addresses"]], ["az1", "az2", "az3"])
        first = address(status, sim.addresses[0])
        self.assertEqual((first["state"], first["up"], first["timeouts"]), ("up", True, 0))
        self.assertGreaterEqual(first["queries"], 2)
        self.assertGreater(first["rtt_ms"], 0)
        self.assertGreaterEqual(first["qps"], 0)
        self.assertIn(("corp.test", ["seoul"], "up"), [(z["name"], z["to"], z["state"]) for z in status["zones"]])
        cache = status["cache"]
        self.assertEqual((cache["entries"], cache["hits"], cache["misses"], cache["stale"]), (1, 2, 1, 0))
        self.assertGreater(cache["bytes"], 0)
        self.assertGreaterEqual(status["metrics"]['r53fwd_queries_total{proto="udp"}'], 3)

    def test_queries_per_second_are_counted(self):
        fwd, _, _ = self.serve()
        end = time.monotonic() + PATIENCE_S
        rate = 0
        while rate == 0 and time.monotonic() < end:
            ask(fwd, f"n{time.monotonic_ns()}.corp.test")
            rate = endpoint(fwd.status())["addresses"][0]["qps"]
        self.assertGreater(rate, 0)
        self.assertGreater(fwd.status()["qps"], 0)

    def test_exit_status_says_how_it_is(self):
        """0; 1 none runs; 3 an endpoint is wholly down"""
        fwd, sim, _ = self.serve()
        fwd.command("status")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        sim.ctl("all", "silent")
        ask(fwd, "gone.corp.test")
        wait_for(lambda: endpoint(read_status(fwd))["state"] == "down", what="the end of the endpoint")
        table, _ = fwd.command("status", expect=3)
        self.assertIn("seoul  down", table)
        self.assertIn("zones in trouble", table)
        self.assertEqual({a["state"] for a in endpoint(fwd.status(expect=3))["addresses"]}, {"down"})
        fwd.command("status", "--alive")
        sim.ctl("all", "heal")
        wait_for(lambda: endpoint(read_status(fwd))["state"] != "down", what="the return of the endpoint")
        fwd.command("status")
        self.assertEqual(fwd.stop(), 0)
        printed, said = fwd.command("status", expect=1)
        self.assertEqual(printed, "")
        self.assertIn(fwd.control, said)
        fwd.command("status", "--alive", expect=1)

    def test_alive_while_every_answer_is_stale(self):
        """`--alive`: 0 while the daemon serves, stale answers included"""
        fwd, sim, _ = self.serve()
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        sim.ctl("all", "silent")
        wait_for(lambda: any(code == 3 for code, _ in ede(ask(fwd, "brief.corp.test"))), what="a stale answer")
        self.assertEqual(fwd.command("status", "--alive"), ("", ""))

    def test_table_has_no_control_characters_in_a_pipe(self):
        fwd, _, _ = self.serve()
        table, _ = fwd.command("status")
        self.assertTrue(all(c == "\n" or " " <= c <= "~" for c in table), table)
        self.assertIn("az2", table)

    def test_watch_goes_on(self):
        fwd, _, _ = self.serve()
        argv = [R53FWD, "status", "--watch", "--control", fwd.control]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            seen = 0
            while seen < 2:
                line = child.stdout.readline()
                self.assertTrue(line)
                self.assertNotIn("\033", line)
                seen += line.startswith("r53fwd ")
            self.assertEqual(fwd.stop(), 0)
            child.stdout.read()
            self.assertEqual(child.wait(PATIENCE_S), 1)
            self.assertIn("no daemon serves", child.stderr.read())

    def test_thousands_of_zones_are_listed_in_part(self):
        sim = self.sim()
        zones = [f"{{name: [{', '.join(f'z{i}.test' for i in range(start, start + 1000))}], to: seoul}}" for start in range(0, 5000, 1000)]
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], zones))
        status = read_status(fwd)
        self.assertEqual((len(status["zones"]), status["zones_total"]), (1000, 5000))
        self.assertEqual(len(tell(fwd, command="status", zones="all")["zones"]), 5000)


def read_status(fwd):
    """Whatever the exit status is."""
    return tell(fwd, command="status")


class Reload(Case):
    def test_reload_takes_the_file_up(self):
        fwd, sim, world = self.serve()
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        fwd.write_conf(zones_conf([endpoint_conf(sim)], ["{name: hasty.test, to: seoul}"], world))
        self.assertEqual(fwd.command("reload"), ("", ""))
        self.assertEqual([z["name"] for z in fwd.status()["zones"]], ["hasty.test"])
        self.assertEqual(fwd.status()["config"]["reloads"], {"ok": 1, "failed": 0})
        self.expect(ask(fwd, "www.corp.test"), ips=["192.0.2.83"])

    def test_file_with_errors_changes_nothing(self):
        """0, or 1 with the daemon's reason"""
        fwd, _, _ = self.serve()
        fwd.write_conf("zones: []\nworker: 3\n")
        _, said = fwd.command("reload", expect=1)
        self.assertIn(f"{fwd.conf}:3:1: unknown key `worker`", said)
        self.assertIn("(did you mean `workers`?)", said)
        self.assertIn("everything stays as it was", said)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(fwd.status()["config"]["reloads"], {"ok": 0, "failed": 1})

    def test_listener_that_cannot_be_is_said(self):
        fwd, sim, world = self.serve()
        taken = self.stage.add(type(fwd)(fwd.folder, "zones: []\nlocal-upstreams: [127.0.0.1:1]\n", name="taken"))
        fwd.more = [f"{taken.ip}:{taken.port}"]
        fwd.write_conf(zones_conf([endpoint_conf(sim)], self.ZONES, world))
        _, said = fwd.command("reload", expect=1)
        self.assertIn(f"cannot listen on {taken.ip}:{taken.port}", said)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_another_control_takes_a_restart(self):
        fwd, sim, world = self.serve()
        fwd.write_conf(zones_conf([endpoint_conf(sim)], self.ZONES, world, rest=f"control: {fwd.folder}/other\n"))
        _, said = fwd.command("reload")
        self.assertIn("`control` takes effect at a restart", said)
        self.assertFalse(os.path.exists(f"{fwd.folder}/other"))
        fwd.command("status", "--alive")

    def test_what_takes_a_restart_is_said_until_it_has_had_one(self):
        fwd, sim, world = self.serve()
        for line, warned in (("workers: 3\n", True), ("workers: 3\n", True), ("", False), ("sandbox: off\n", True), ("user: root\n", True)):
            fwd.write_conf(zones_conf([endpoint_conf(sim)], self.ZONES, world, rest=line))
            said = fwd.command("reload")[1]
            self.assertEqual("takes effect at a restart" in said, warned, f"{line}{said}")

    def test_sighup_does_not_end_what_is_stopping(self):
        conf = zones_conf([endpoint_conf(self.sim())], self.ZONES, self.world())
        for _ in range(5):
            fwd = self.forwarder(conf)
            fwd.signal(signal.SIGTERM)
            for _ in range(3000):
                if fwd.child.poll() is not None:
                    break
                fwd.child.send_signal(signal.SIGHUP)
                time.sleep(0.001)  # the pace at which they come
            self.assertEqual(fwd.wait(), 0, fwd.text())
            self.stage.programs.remove(fwd)

    def test_sighup_is_counted_as_well(self):
        fwd, sim, world = self.serve()
        fwd.reload(zones_conf([endpoint_conf(sim)], self.ZONES, world))
        wait_for(lambda: fwd.status()["config"]["reloads"]["ok"] == 1, what="the reload")


class Flush(Case):
    def test_flush_takes_stale_answers_too(self):
        """`flush NAME` is all types of that name, stale copies too, not names below."""
        fwd, sim, _ = self.serve()
        for name in ("brief.corp.test", "www.corp.test"):
            self.expect(ask(fwd, name))
        ask(fwd, "brief.corp.test", "AAAA")
        sim.ctl("all", "silent")
        wait_for(lambda: any(code == 3 for code, _ in ede(ask(fwd, "brief.corp.test"))), what="a stale answer")
        self.assertEqual(fwd.command("flush", "brief.corp.test")[0], "2 answers forgotten\n")
        self.expect(ask(fwd, "brief.corp.test"), "SERVFAIL")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_flush_zone_and_all(self):
        fwd, sim, _ = self.serve(endpoint=STEADY)
        for name in ("www.corp.test", "app.corp.test", "www.example"):
            self.expect(ask(fwd, name))
        self.assertEqual(fwd.command("flush", "--zone", "corp.test")[0], "2 answers forgotten\n")
        asked = sim.count("www.corp.test", "A")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(sim.count("www.corp.test", "A"), asked + 1)
        fwd.command("flush", "--all")
        self.assertEqual(fwd.status()["cache"]["entries"], 0)

    def test_wrong_use_is_2_and_a_wrong_name_1(self):
        fwd, _, _ = self.serve()
        for words in ((), ("a", "b"), ("a", "--all"), ("--zone", "a", "--all"), ("--json",)):
            fwd.command("flush", *words, expect=2)
        _, said = fwd.command("flush", "a..b", expect=1)
        self.assertIn("`a..b` is no name", said)


class Drain(Case):
    def test_drain_moves_the_traffic_and_loses_nothing(self):
        fwd, sim, _ = self.serve()
        first, second = sim.addresses[:2]
        results, stop = [], threading.Event()

        def load():
            number = 0
            while not stop.is_set():
                number += 1
                results.append(dns.rcode.to_text(ask(fwd, f"{number}.wild.corp.test").rcode()))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            wait_for(lambda: sim.count(ip=first.ip, type="A") > 20, what="traffic to the first")
            printed, _ = fwd.command("drain", first.ip)
            self.assertEqual(printed, f"{first.ip}: drained at seoul\n")
            before = sim.count(ip=second.ip, type="A")
            wait_for(lambda: sim.count(ip=second.ip, type="A") > before + 20, what="traffic to the second")
            drained = sim.count(ip=first.ip, type="A")
            wait_for(lambda: sim.count(ip=second.ip, type="A") > before + 60, what="more of it")
            self.assertEqual(sim.count(ip=first.ip, type="A"), drained)
            self.assertEqual(address(fwd.status(), first)["state"], "drained")
            self.assertEqual(endpoint(fwd.status())["state"], "degraded")
            fwd.command("undrain", f"{first.ip}:{first.port}")
            wait_for(lambda: sim.count(ip=first.ip, type="A") > drained + 5, what="traffic to the first again")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(set(results), {"NOERROR"})
        self.assertEqual(endpoint(fwd.status())["state"], "up")

    def test_last_address_is_drained_with_a_warning(self):
        """drain of the last address is carried out with a warning"""
        fwd, sim, _ = self.serve(count=2)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.expect(ask(fwd, "brief.corp.test"))
        self.assertEqual(fwd.command("drain", sim.addresses[0].ip)[1], "")
        _, said = fwd.command("drain", sim.addresses[1].ip)
        self.assertIn("no address of seoul takes questions any more", said)
        wait_for(lambda: "every address of seoul is drained" in fwd.text(), what="the end of the endpoint")
        self.assertEqual(endpoint(fwd.status(expect=3))["state"], "drained")
        self.assertEqual(endpoint(fwd.status(expect=3))["outages"], 0)
        self.assertIn("!! every address of seoul is drained", fwd.command("status", expect=3)[0])
        self.assertIn("every address is drained", fwd.command("explain", "www.corp.test")[0])
        self.assertIn("seoul: every address is drained", dict(ede(self.expect(ask(fwd, "gone.corp.test"), "SERVFAIL"))).values())
        self.assertNotIn("seoul is down", fwd.text())
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        asked = sim.count("other.corp.test")
        fwd.command("undrain", sim.addresses[1].ip)
        self.expect(ask(fwd, "other.corp.test"), "NXDOMAIN")  # at once: it was well
        self.assertGreater(sim.count("other.corp.test"), asked)

    def test_drains_survive_reload_not_restart(self):
        """drains survive reload, not restart"""
        fwd, sim, _ = self.serve()
        first = sim.addresses[0]
        fwd.command("drain", first.ip)
        fwd.command("reload")
        self.assertEqual(address(fwd.status(), first)["state"], "drained")
        self.assertEqual(fwd.stop(), 0)
        with open(fwd.conf, encoding="utf-8") as file:
            conf = file.read().split("\n", 1)[1]
        again = self.forwarder(conf.replace(fwd.control, f"{fwd.folder}/again.control"), name="again")
        self.assertEqual(address(again.status(), first)["state"], "up")

    def test_unknown_address_is_1(self):
        fwd, _, _ = self.serve()
        self.assertIn("no endpoint has the address 192.0.2.1", fwd.command("drain", "192.0.2.1", expect=1)[1])
        self.assertIn("wants an address", fwd.command("drain", "seoul", expect=1)[1])
        fwd.command("drain", expect=2)
        fwd.command("drain", "192.0.2.1", "192.0.2.2", expect=2)


class Socket(Case):
    def test_mode_and_end_of_the_file(self):
        fwd, _, _ = self.serve()
        status = os.stat(fwd.control)
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
        self.assertEqual(fwd.stop(), 0)
        self.assertFalse(os.path.exists(fwd.control))

    def test_control_is_found_through_zones_conf(self):
        """`--control PATH`, else `control:` of `--zones FILE`, else the default path"""
        fwd, _, _ = self.serve()
        run = subprocess.run([R53FWD, "status", "--alive", "--zones", fwd.conf], timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 0)
        with open(fwd.conf, "a", encoding="utf-8") as file:
            file.write("nonsense: 1\n")
        run = subprocess.run([R53FWD, "status", "--alive", "--zones", fwd.conf], timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 0, "a file in the middle of a change still leads to the daemon")

    def test_zones_conf_may_stand_in_the_environment(self):
        """A container that mounts no file: R53FWD_ZONES_INLINE holds the text, for the daemon and for the commands beside it."""
        fwd, _, _ = self.serve()
        with open(fwd.conf, encoding="utf-8") as file:
            text = file.read()
        fwd.stop()
        inline = {"R53FWD_ZONES_INLINE": text}
        second = self.stage.add(Program("inline", self.stage.folder, [R53FWD], inline))
        wait_for(lambda: second.check_alive() or os.path.exists(fwd.control), what="the start")
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        run = subprocess.run([R53FWD, "status", "--alive"], env={**os.environ, **inline}, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 0)
        second.signal(signal.SIGHUP)
        wait_for(lambda: "R53FWD_ZONES_INLINE loaded" in second.text(), what="the reload")
        self.assertEqual(second.stop(), 0)
        wrong = {**os.environ, "R53FWD_ZONES_INLINE": "zones: []\nzone: 1\n"}
        run = subprocess.run([R53FWD], env=wrong, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("R53FWD_ZONES_INLINE:2:1: ", run.stderr)
        run = subprocess.run([R53FWD, "check", "--zones", fwd.conf], env=wrong, capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 0, "the command line wins")

    def test_second_daemon_at_a_written_socket_does_not_start(self):
        fwd, _, _ = self.serve()
        second = self.forwarder(f"zones: []\nlocal-upstreams: [127.0.0.1:1]\ncontrol: {fwd.control}\n", name="second", ready=False)
        self.assertEqual(second.wait(), 1)
        self.assertIn("another r53fwd runs there", second.text())
        fwd.command("status", "--alive")

    def test_socket_of_a_killed_daemon_is_taken_over(self):
        fwd, _, _ = self.serve()
        fwd.child.kill()
        fwd.child.wait()
        self.stage.programs.remove(fwd)
        self.assertTrue(os.path.exists(fwd.control))
        self.assertIn("no daemon serves", fwd.command("status", expect=1)[1])
        second = self.forwarder(f"zones: []\nlocal-upstreams: [127.0.0.1:1]\ncontrol: {fwd.control}\n", name="second")
        self.assertIsNone(second.child.poll())
        fwd.command("status", "--alive")

    def test_garbage_gets_an_error_or_nothing(self):
        fwd, _, _ = self.serve()
        for line in (b"", b"hello", b"{}", b"[]", b'{"command": 1}', b'{"command": "x"}', b"\xff\xfe\x00", b"{" * 5000):
            self.assertIn("error", json.loads(say(fwd.control, line + b"\n")))
        for octets in (b"", b'{"command": "reload"}', b"a" * 70000):
            self.assertEqual(say(fwd.control, octets, half_close=True), b"")
        fwd.command("status", "--alive")
        self.assertEqual(fwd.status()["config"]["reloads"]["ok"], 0)

    def test_flood_of_silent_clients_locks_nobody_out(self):
        """At most 32 connections; DNS never waits for any of them."""
        fwd, _, _ = self.serve()
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        crowd = []
        try:
            for i in range(100):
                s = socket.socket(socket.AF_UNIX)
                s.connect(fwd.control)
                s.send(b'{"command": ' if i % 2 else b"")
                crowd.append(s)
            with self.within(AT_ONCE_S):
                self.assertEqual(addresses(ask(fwd, "www.corp.test")), WWW)
            fwd.command("status", "--alive")
            descriptors = len(os.listdir(f"/proc/{fwd.pid}/fd"))
        finally:
            for s in crowd:
                s.close()
        wait_for(lambda: len(os.listdir(f"/proc/{fwd.pid}/fd")) < descriptors, what="the end of the crowd")

    def test_client_that_does_not_read_is_waited_for_by_nobody(self):
        fwd, _, _ = self.serve()
        with socket.socket(socket.AF_UNIX) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            s.connect(fwd.control)
            s.sendall(b'{"command": "status"}\n')
            fwd.command("status", "--alive")
            with self.within(AT_ONCE_S):
                self.expect(ask(fwd, "www.corp.test"), ips=WWW)


if __name__ == "__main__":
    main()
