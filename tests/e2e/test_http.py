#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""r53fwd-http beside a real daemon: what it serves, what it refuses, and that DNS does not wait for it."""

import contextlib
import http.client
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import lib
from lib import AT_ONCE_S, Case, LOOPBACK, Program, ask, endpoint_conf, wait_for, zones_conf

R53FWD_HTTP = os.environ["R53FWD_HTTP"]


class Http(Program):
    """r53fwd-http at an address of our choice, of the daemon with this control socket."""

    def __init__(self, folder, control, options=(), name="http", ready=True):
        self.ip = LOOPBACK.ip()
        self.port = LOOPBACK.port(self.ip)
        argv = [R53FWD_HTTP, "--control", control, "--listen", f"{self.ip}:{self.port}", *options]
        super().__init__(name, folder, argv)
        if ready:
            wait_for(lambda: self.check_alive() or is_open(self), what=f"{name}'s start")


def is_open(at):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((at.ip, at.port)) == 0


def request(at, path, method="GET", headers=None, timeout=lib.PATIENCE_S):
    """(status, headers, body as text)."""
    connection = http.client.HTTPConnection(at.ip, at.port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def samples(text):
    """Prometheus's text as {"name{labels}": value}."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"}


class Served(Case):
    """What is there to be seen."""

    def set_stage(self, **options):
        fwd, sim, world = self.serve(**options)
        return fwd, sim, self.stage.add(Http(self.stage.folder, fwd.control))

    def test_every_page_of_a_healthy_daemon_is_served(self):
        fwd, _, web = self.set_stage()
        self.assertEqual(request(web, "/health")[::2], (200, "ok\n"))
        wait_for(lambda: request(web, "/ready")[0] == 200, what="readiness")
        self.assertEqual(request(web, "/ready?zones=1")[::2], (200, "ready\n"))
        status, headers, body = request(web, "/status.json")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(set(json.loads(body)), set(fwd.status()))
        status, headers, body = request(web, "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("corp.test", body)
        nonce = re.search(r"script-src 'nonce-(\w+)'", headers["Content-Security-Policy"])[1]
        self.assertEqual(re.findall(r'<(?:script|style) nonce="(\w+)"', body), [nonce, nonce])
        for path in ("/", "/metrics", "/health", "/none"):
            self.assertEqual(request(web, path)[1]["X-Content-Type-Options"], "nosniff")

    def test_metrics_count_what_was_asked_and_promtool_likes_them(self):
        fwd, sim, web = self.set_stage()
        for _ in range(3):
            ask(fwd, "www.corp.test")
        ask(fwd, "www.corp.test", tcp=True)
        status, headers, text = request(web, "/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        found = samples(text)
        first = sim.addresses[0]
        labels = f'{{endpoint="seoul",address="{first.ip}:{first.port}",az="az1"'
        self.assertEqual(found['r53fwd_queries_total{proto="tcp"}'], 1)
        self.assertEqual(found['r53fwd_zone_queries_total{zone="corp.test"}'], 4)
        self.assertEqual(found["r53fwd_cache_hits_total"], 3)
        self.assertEqual(found["r53fwd_address_up" + labels + "}"], 1)
        self.assertGreaterEqual(found["r53fwd_address_queries_total" + labels + "}"], 2)
        self.assertGreaterEqual(found["r53fwd_address_rtt_seconds_count" + labels + "}"], 2)
        self.assertEqual(found["r53fwd_address_rtt_seconds_bucket" + labels + ',le="+Inf"}'],
                         found["r53fwd_address_rtt_seconds_count" + labels + "}"])
        self.assertEqual(found['r53fwd_reloads_total{result="ok"}'], 0)
        run = subprocess.run([lib.find_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))

    def test_who_looks_acts_and_looks_again_sees_the_change(self):
        fwd, _, web = self.set_stage()
        for n in range(1, 4):
            before = samples(request(web, "/metrics")[2])['r53fwd_zone_queries_total{zone="corp.test"}']
            for _ in range(n):
                ask(fwd, "www.corp.test")
            self.assertEqual(samples(request(web, "/metrics")[2])['r53fwd_zone_queries_total{zone="corp.test"}'], before + n)

    def test_rejected_and_reloaded_files_are_counted(self):
        fwd, _, web = self.set_stage()
        with open(fwd.conf, encoding="utf-8") as file:
            good = file.read()
        with open(fwd.conf, "a", encoding="utf-8") as file:
            file.write("nonsense: 1\n")
        fwd.command("reload", expect=1)
        with open(fwd.conf, "w", encoding="utf-8") as file:
            file.write(good)
        fwd.command("reload")
        found = samples(request(web, "/metrics")[2])
        self.assertEqual([found['r53fwd_reloads_total{result="%s"}' % result] for result in ("ok", "failed")], [1, 1])

    def test_an_outage_is_told_by_every_page(self):
        fwd, sim, web = self.set_stage(zones=("{name: corp.test, to: seoul}", "{name: hasty.test, to: seoul}"))
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        sim.ctl("all", "silent")
        self.expect(ask(fwd, "lost.corp.test"), "SERVFAIL")
        wait_for(lambda: down(fwd), what="the outage")
        wait_for(lambda: request(web, "/ready?zones=1")[0] == 503, what="strict unreadiness")
        self.assertEqual(request(web, "/ready?zones=1")[2].splitlines()[1:], ["hasty.test"])
        self.assertEqual(request(web, "/ready")[0], 200)
        self.assertEqual(request(web, "/health")[0], 200)

        def stale_is_shown():
            ask(fwd, "brief.corp.test")
            return "stale answers are being served every second" in request(web, "/")[2]

        wait_for(stale_is_shown, what="the large type")
        page = request(web, "/")[2]
        self.assertIn("No address of <b>seoul</b> answers.", page)
        found = samples(request(web, "/metrics")[2])
        self.assertEqual(found['r53fwd_endpoint_up{endpoint="seoul"}'], 0)
        self.assertEqual(found['r53fwd_endpoint_outages_total{endpoint="seoul"}'], 1)
        self.assertEqual(found['r53fwd_zone_up{zone="corp.test"}'], 0)
        self.assertGreater(found["r53fwd_cache_stale_total"], 0)

    def test_hostile_names_are_escaped_in_page_and_metrics(self):
        zone = "<img/src=x>.test"
        fwd, _, web = self.set_stage(zones=(f"{{name: '{zone}', to: seoul}}",))
        self.assertEqual([z["name"] for z in fwd.status()["zones"]], [r"\060img/src=x\062.test"])
        page = request(web, "/")[2]
        self.assertNotIn("<img", page)
        self.assertIn(r"\060img/src=x\062.test", page)
        text = request(web, "/metrics")[2]
        self.assertIn(r'{zone="\\060img/src=x\\062.test"}', text)
        run = subprocess.run([lib.find_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))


class Kept(Case):
    """The daemon starts it, as `http` of zones.conf says."""

    def set_stage(self, rest="", **options):
        sim, world = self.sim(), self.world()
        self.at = lib.Address(LOOPBACK.ip(), 0, None)
        self.at = self.at._replace(port=LOOPBACK.port(self.at.ip))
        self.conf = zones_conf([endpoint_conf(sim)], self.ZONES, world)
        rest = rest or "http: {at}\nhttp-host: dns.test\n"
        return self.forwarder(self.conf + rest.replace("{at}", f"{self.at.ip}:{self.at.port}"), **options)

    def health(self, at=None):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return request(at or self.at, "/health", headers={"Host": "a.dns.test"})[0]
        return None

    def processes(self, fwd):
        """Process ids of r53fwd-http below the daemon: its child's children."""
        found = []
        for keeper in children(fwd.pid):
            found += children(keeper)
        return found

    def test_it_is_started_and_ended_with_the_daemon(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        pids = self.processes(fwd)
        self.assertEqual(len(pids), 1)
        with open(f"/proc/{pids[0]}/comm", encoding="ascii") as file:
            self.assertEqual(file.read(), "r53fwd-http\n")
        if os.geteuid() == 0:
            self.assertNotEqual(uid_of(pids[0]), 0)
        self.assertEqual(fwd.stop(), 0)
        self.assertFalse(is_open(self.at))
        self.assertFalse(os.path.exists(f"/proc/{pids[0]}"))

    def test_whoever_becomes_it_finds_walls(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        (pid,) = self.processes(fwd)
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        self.assertEqual(("1", "2", "2"), (status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]))
        self.assertEqual(self.health(), 200)
        self.assertEqual(request(self.at, "/status.json")[0], 200)  # whatever it asks is asked from inside

    def expect_every_page(self):
        wait_for(lambda: self.health() == 200, what="its start")
        wait_for(lambda: request(self.at, "/ready")[0] == 200, what="readiness")
        for path in ("/", "/metrics", "/status.json", "/ready?zones=1"):
            self.assertEqual(request(self.at, path)[0], 200, path)

    def test_every_page_is_served_where_the_folder_of_the_control_socket_is_closed_to_others(self):
        os.chmod(self.stage.folder, 0o700)
        self.set_stage()
        self.expect_every_page()

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root becomes another user")
    def test_every_page_is_served_where_the_folder_is_somebody_elses(self):
        """Of whoever calls sudo: root without its powers cannot pass either."""
        theirs = os.path.join(self.stage.folder, "theirs")
        os.mkdir(theirs, 0o700)
        os.chown(theirs, 12345, 12345)
        self.set_stage(rest="control: %s/control\nhttp: {at}\nhttp-host: dns.test\n" % theirs)
        self.expect_every_page()

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root becomes another user")
    def test_every_page_is_served_where_the_folder_is_the_users_alone(self):
        nobody = pwd.getpwnam("nobody")
        os.chmod(self.stage.folder, 0o755)
        run = os.path.join(self.stage.folder, "run")
        os.mkdir(run, 0o700)
        os.chown(run, nobody.pw_uid, nobody.pw_gid)
        self.set_stage(rest="user: nobody\ncontrol: %s/control\nhttp: {at}\nhttp-host: dns.test\n" % run)
        self.expect_every_page()

    def test_walls_are_left_out_where_the_daemon_has_none(self):
        fwd = self.set_stage(rest="sandbox: off\n" + "http: {at}\nhttp-host: dns.test\n")
        wait_for(lambda: self.health() == 200, what="its start")
        (pid,) = self.processes(fwd)
        with open(f"/proc/{pid}/cmdline", encoding="ascii") as file:
            self.assertIn("--sandbox\0off", file.read())

    def test_it_is_ended_with_a_daemon_that_was_started_without_standard_streams(self):
        fwd = self.set_stage(before=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
        wait_for(lambda: self.health() == 200, what="its start")
        for n in range(3):
            self.assertEqual(os.readlink(f"/proc/{fwd.pid}/fd/{n}"), "/dev/null")
        self.assertEqual(fwd.stop(), 0)
        self.assertFalse(is_open(self.at))

    def test_it_is_ended_when_the_daemon_is_killed(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        pids = self.processes(fwd)
        os.kill(fwd.pid, signal.SIGKILL)
        fwd.wait()
        wait_for(lambda: not any(is_running(pid) for pid in pids), what="its end")
        self.stage.programs.remove(fwd)

    def test_it_is_ended_when_its_keeper_is_killed(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        pids = self.processes(fwd)
        for keeper in children(fwd.pid):
            os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: not any(is_running(pid) for pid in pids), what="its end")
        said = "the process that keeps r53fwd-http alive has died: until a restart there are neither metrics nor a status page"
        wait_for(lambda: said in fwd.text(), what="the log's line")
        wait_for(lambda: children(fwd.pid) == [], what="its burial")
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        self.assertEqual(fwd.stop(), 0)
        self.assertEqual(fwd.text().count(said), 1)

    @unittest.skipIf(os.geteuid() != 0, "skipped: only root becomes another user")
    def test_with_user_neither_it_nor_its_keeper_is_root_at_any_time(self):
        """On a port below 1024: that right alone is left, until it is used."""
        nobody = pwd.getpwnam("nobody")
        self.at = lib.Address(LOOPBACK.ip(), 80, None)
        os.chmod(self.stage.folder, 0o755)
        control = os.path.join(self.stage.folder, "run", "control")
        rest = f"user: nobody\ncontrol: {control}\nhttp: {self.at.ip}:80\nhttp-host: dns.test\n"
        fwd = self.forwarder(zones_conf([endpoint_conf(self.sim())], self.ZONES, None, rest))
        fwd.control = control
        wait_for(lambda: self.health() == 200, what="its start")
        (keeper,) = children(fwd.pid)
        (program,) = children(keeper)
        for pid, capabilities in ((keeper, 1 << 10), (program, 0)):
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            self.assertEqual({str(nobody.pw_uid)}, set(status["Uid"].split("\t")))
            self.assertEqual({str(nobody.pw_gid)}, set(status["Gid"].split("\t")))
            self.assertEqual(capabilities, int(status["CapPrm"], 16))
            self.assertEqual(1 << 10, int(status["CapBnd"], 16))
            self.assertEqual("1", status["NoNewPrivs"])

    def test_it_is_started_again_when_it_dies_and_dns_does_not_notice(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        os.kill(self.processes(fwd)[0], signal.SIGKILL)
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        wait_for(lambda: "r53fwd-http was ended by signal 9; it is started again in 1 s" in fwd.text(), what="the log's line")
        wait_for(lambda: self.health() == 200, what="its return")

    def test_a_reload_moves_it_starts_it_and_ends_it(self):
        fwd = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        first = self.processes(fwd)
        fwd.command("reload")  # nothing of it has changed
        other = lib.Address(LOOPBACK.ip(), 0, None)
        other = other._replace(port=LOOPBACK.port(other.ip))
        self.assertEqual(self.processes(fwd), first)
        fwd.write_conf(self.conf + f"http: {other.ip}:{other.port}\nhttp-host: dns.test\n")
        fwd.command("reload")
        wait_for(lambda: self.health(other) == 200, what="the move")
        self.assertFalse(is_open(self.at))
        fwd.write_conf(self.conf)
        fwd.command("reload")
        wait_for(lambda: not is_open(other), what="its end")
        fwd.write_conf(self.conf + f"http: {self.at.ip}:{self.at.port}\nhttp-host: dns.test\n")
        fwd.command("reload")
        wait_for(lambda: self.health() == 200, what="its start at a reload")

    def test_a_takeover_takes_the_page_along(self):
        old = self.set_stage()
        wait_for(lambda: self.health() == 200, what="its start")
        with open(old.conf, encoding="utf-8") as file:
            text = file.read().split("\n", 1)[1]  # without `listen:`, which the next one writes itself
        with Doors(self.at) as doors:
            new = self.forwarder(text, at=lib.Address(old.ip, old.port, None), name="next", options=["--takeover"], ready=False)
            self.assertEqual(old.wait(), 0, old.text())
            wait_for(lambda: new.check_alive() or (self.health() == 200 and self.processes(new)), what="the page of the next one")
        self.assertLess(doors.closed_s, 0.5)
        self.assertNotIn("r53fwd-http ended", new.text())
        self.assertEqual(json.loads(request(self.at, "/status.json")[2])["config"]["path"], new.conf)

    def test_a_port_that_is_taken_is_said_and_tried_again(self):
        with socket.socket() as taken:
            ip = LOOPBACK.ip()
            taken.bind((ip, 0))
            taken.listen()
            self.at = lib.Address(ip, taken.getsockname()[1], None)
            fwd = self.set_stage(rest=f"http: {ip}:{self.at.port}\nhttp-host: dns.test\n")
            self.at = lib.Address(ip, taken.getsockname()[1], None)
            wait_for(lambda: "r53fwd-http ended with status 1" in fwd.text(), what="the log's line")
            self.assertIn("Address already in use", fwd.text())
            self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        wait_for(lambda: self.health() == 200, what="its start")

    def test_what_is_no_address_or_name_is_an_error_with_its_place(self):
        fwd = self.set_stage(rest="log: {level: info}\n")
        fwd.write_conf(self.conf + "http: localhost:80\nhttp-host: 'a..b'\n")
        _, said = fwd.command("reload", expect=1)
        self.assertRegex(said, r":\d+:7: `http` must be an address")
        self.assertRegex(said, r":\d+:12: `http-host` must be a domain name")


class Doors:
    """Tries a port over and over; `closed_s` is the longest time for which it was refused."""

    def __init__(self, at):
        self.at = at
        self.closed_s = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        opened = time.monotonic()
        while not self.stopping:
            if is_open(self.at):
                self.closed_s = max(self.closed_s, time.monotonic() - opened)
                opened = time.monotonic()
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


def children(pid):
    """Of every thread of the process."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += [int(word) for word in file.read().split()]
    return found


def is_running(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def uid_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^Uid:\t(\d+)", file.read(), re.M)[1])


def down(fwd):
    run = subprocess.run([lib.R53FWD, "status", "--json", "--control", fwd.control], capture_output=True, text=True, check=False)
    return any(e["state"] == "down" and e["name"] == "seoul" for e in json.loads(run.stdout)["endpoints"])


class Refused(Case):
    """What is not served, and whom it does not harm."""

    def test_without_a_daemon_every_page_says_so(self):
        web = self.stage.add(Http(self.stage.folder, os.path.join(self.stage.folder, "none.sock")))
        for path in ("/", "/metrics", "/health", "/ready", "/ready?zones=1", "/status.json"):
            status, _, body = request(web, path)
            self.assertEqual(status, 503, path)
            self.assertIn("no daemon serves at the control socket", body)

    def test_other_methods_paths_and_hosts_are_refused(self):
        web = self.stage.add(Http(self.stage.folder, os.path.join(self.stage.folder, "none.sock"), ["--host", "dns.test"]))
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = request(web, "/metrics", method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(request(web, "/metrics/x")[0], 404)
        self.assertEqual(request(web, "/health", headers={"Host": "evil.test"})[0], 403)
        for host in ("dns.test", "a.dns.test:80", "localhost", socket.gethostname(), "192.0.2.1:9553", "[::1]"):
            self.assertEqual(request(web, "/health", headers={"Host": host})[0], 503, host)

    def test_wrong_command_lines_are_refused(self):
        bad = (["--listen", "nowhere"], ["--control"], ["operand"], ["--nonsense"], ["--log-format", "xml"], ["--log-level", "loud"])
        for words in (*bad, ["--host", "x"] * 33):
            run = subprocess.run([R53FWD_HTTP, *words], capture_output=True, text=True, timeout=lib.PATIENCE_S, check=False)
            self.assertEqual(run.returncode, 2, words)
            self.assertIn("r53fwd-http", run.stderr)
        run = subprocess.run([R53FWD_HTTP, "--help"], capture_output=True, text=True, check=True)
        for path in ("/", "/metrics", "/health", "/ready", "/ready?zones=1", "/status.json"):
            self.assertRegex(run.stdout, re.compile(rf"^  {re.escape(path)} +\w", re.M))
        self.assertRegex(subprocess.run([R53FWD_HTTP, "--version"], capture_output=True, text=True, check=True).stdout, r"^r53fwd-http \d")

    def test_address_in_use_is_said(self):
        first = self.stage.add(Http(self.stage.folder, "/none"))
        run = subprocess.run([R53FWD_HTTP, "--listen", f"{first.ip}:{first.port}"], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"cannot listen at {first.ip}:{first.port}: Address already in use", run.stderr)

    def test_root_becomes_nobody_and_gains_nothing_back(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give up being root")
        fwd, _, _ = self.serve()
        web = self.stage.add(Http(self.stage.folder, fwd.control, ["--user", "nobody"]))
        # It listens as root, for the port's sake, and answers as nobody.
        wait_for(lambda: request(web, "/health")[0] == 200, what="an answer to nobody")
        with open(f"/proc/{web.pid}/status", encoding="ascii") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertNotIn("0", fields["Uid"].split())
        self.assertEqual(fields["Groups"].strip(), "")
        self.assertEqual(int(fields["CapEff"], 16) | int(fields["CapPrm"], 16), 0)
        self.assertEqual(int(fields["CapBnd"], 16), 1 << 10)
        self.assertEqual(fields["NoNewPrivs"], "1")

    def test_it_holds_no_file_open_and_maps_what_it_needs(self):
        fwd, _, _ = self.serve()
        web = self.stage.add(Http(self.stage.folder, fwd.control))
        self.assertEqual(request(web, "/")[0], 200)
        open_files = {os.readlink(f"/proc/{web.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{web.pid}/fd")}
        allowed = re.compile(rf"(socket|anon_inode|pipe):|/dev/null|{re.escape(self.stage.folder)}/(http\.(err|out)|r53fwd\.control)$")
        self.assertEqual([], [path for path in open_files if not allowed.match(path)])
        with open(f"/proc/{fwd.pid}/maps", encoding="ascii") as file:
            self.assertNotIn("microhttpd", file.read(), "the daemon maps no HTTP library")

    def test_crowds_of_silent_and_half_visitors_hold_up_nobody(self):
        fwd, _, _ = self.serve()
        web = self.stage.add(Http(self.stage.folder, fwd.control))
        with contextlib.ExitStack() as crowd:
            for i in range(300):
                s = crowd.enter_context(socket.socket())
                s.settimeout(lib.PATIENCE_S)
                s.connect((web.ip, web.port))
                with contextlib.suppress(OSError):
                    s.sendall([b"", b"GET / HTT", b"\x16\x03\x01" + b"x" * 3000][i % 3])
            self.assertEqual(request(web, "/health")[0], 200)
            begun = time.monotonic()
            self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
            self.assertLess(time.monotonic() - begun, 4 * AT_ONCE_S)
        with open(f"/proc/{web.pid}/fd/../status", encoding="ascii") as file:
            self.assertIn("Name:\tr53fwd-http", file.read())
        self.assertLess(len(os.listdir(f"/proc/{web.pid}/fd")), 100)

    def test_daemon_that_hangs_is_said_within_seconds_and_dns_goes_on(self):
        fwd, _, _ = self.serve()
        web = self.stage.add(Http(self.stage.folder, fwd.control))
        self.assertEqual(request(web, "/health")[0], 200)
        web.signal(signal.SIGSTOP)
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        web.signal(signal.SIGCONT)
        fwd.signal(signal.SIGSTOP)
        try:
            wait_for(lambda: request(web, "/health")[0] == 503, what="the daemon's silence")
            self.assertIn("the daemon does not answer", request(web, "/health")[2])
        finally:
            fwd.signal(signal.SIGCONT)
        wait_for(lambda: request(web, "/health")[0] == 200, what="the daemon's return")


if __name__ == "__main__":
    lib.main()
