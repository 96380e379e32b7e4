#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the log says through a day of trouble, in text and in JSON, and to a reader that does not read."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading

from lib import LOOPBACK, PATIENCE_S, R53FWD, SOA, Case, Forwarder, ask, end, endpoint_conf, make_query, main, raw, wait_for, zones_conf

F_SETPIPE_SZ = 1031
# Every octet that could harm a terminal, a shell or a line of JSON, in labels of a name.
HOSTILE = b"\x0a\"\\\x1b[31m$(id)\x00\x7f\xff{}" + b"'\r\t<b>"


def hostile_query():
    label = bytes([len(HOSTILE)]) + HOSTILE
    return b"\0\7\1\0\0\1\0\0\0\0\0\0" + label + b"\4corp\4test\0" + b"\0\1\0\1"


class Log(Case):
    def events(self, fwd, **wanted):
        """Lines of a JSON log that fit; every line is an object, whatever it is about."""
        found = []
        for line in fwd.text().split("\n")[:-1]:
            event = json.loads(line)
            self.assertEqual(list(event)[:2], ["time", "level"], line)
            self.assertIn("message", event)
            if all(event.get(key) == value for key, value in wanted.items()):
                found.append(event)
        return found

    def await_event(self, fwd, **wanted):
        return wait_for(lambda: fwd.check_alive() or self.events(fwd, **wanted), what=f"a line with {wanted}")[-1]

    def test_every_line_is_json_through_an_outage_a_bad_reload_and_hostile_names(self):
        fwd, sim, _ = self.serve(rest="log: {format: json, queries: all}\n")
        with open(fwd.conf, encoding="utf-8") as file:
            conf = file.read().split("\n", 1)[1]
        self.expect(ask(fwd, "www.corp.test"))
        query = self.await_event(fwd, event="query", name="www.corp.test")
        seen = [query[key] for key in ("type", "zone", "endpoint", "cache", "rcode", "proto")]
        self.assertEqual(seen, ["A", "corp.test", "seoul", "miss", "NOERROR", "udp"])
        self.assertIn(query["az"], ("az1", "az2", "az3"))
        self.assertIn(query["address"], [f"{a.ip}:{a.port}" for a in sim.addresses])
        self.assertGreater(query["duration_ms"], 0)
        raw(fwd, hostile_query())
        wait_for(lambda: [e for e in self.events(fwd, event="query") if "\\027\\09131m" in e["name"]], what="the hostile name")
        fwd.reload("zones: \"\\e[31m\\n{\"\n")
        refused = self.await_event(fwd, event="config", state="refused")
        self.assertEqual(refused["level"], "error")
        self.assertIn("must be a list", self.await_event(fwd, event="config", state="error")["message"])
        fwd.reload(conf)
        self.await_event(fwd, event="config", state="loaded")
        sim.ctl("az1", "silent")
        self.keep_asking(fwd, lambda: self.events(fwd, event="address", az="az1", state="down"))
        self.await_event(fwd, event="az", az="az1", state="down")
        sim.ctl("all", "silent")
        self.keep_asking(fwd, lambda: self.events(fwd, event="endpoint", state="down"))
        self.assertEqual(self.events(fwd, event="endpoint", state="down")[-1]["level"], "warn")
        self.expect(ask(fwd, "www.corp.test"))
        sim.ctl("all", "heal")
        self.await_event(fwd, event="endpoint", state="up")
        fwd.signal(signal.SIGTERM)
        self.assertEqual(fwd.wait(), 0)
        self.assertIn("served", self.events(fwd)[-1]["message"])

    def keep_asking(self, fwd, until):
        """New names, so that each question travels; in silence there may be no answer."""
        for i in range(10000):
            raw(fwd, make_query(f"n{i}.wild.corp.test").to_wire(), timeout=0.2)
            if until():
                return
        self.fail("it did not happen")

    def test_name_kept_warm_that_is_emptied_is_said_and_so_is_its_return(self):
        zone = f"$ORIGIN warm.test.\n@ 1 SOA {SOA} 1\nother 1 TXT x\n"
        sim = self.sim(zones=[zone + "db 1 A 10.20.1.7\n"])
        route = "{name: warm.test, to: seoul, keep-warm: [never.warm.test, db.warm.test]}"
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], [route], None, "log: {format: json}\ncache: {min-ttl: 0s}\n"))
        wait_for(lambda: sim.queries("db.warm.test", "A"), what="the first refresh")
        sim.change_zone(0, zone)
        gone = self.await_event(fwd, event="keep-warm", state="gone")
        self.assertEqual((gone["level"], gone["name"], gone["type"]), ("warn", "db.warm.test", "A"))
        sim.change_zone(0, zone + "db 1 A 10.20.1.8\n")
        self.await_event(fwd, event="keep-warm", state="there")
        self.assertGreater(sim.count("never.warm.test", "A"), 1)
        self.assertEqual(len(self.events(fwd, event="keep-warm")), 2)  # and no word of what never was

    def test_lines_of_the_status_page_are_json_too(self):
        ip = LOOPBACK.ip()
        fwd, _, _ = self.serve(rest=f"log: {{format: json}}\nhttp: '{ip}:{LOOPBACK.port(ip)}'\n")
        wait_for(lambda: [e for e in self.events(fwd) if " shows the r53fwd at " in e["message"]], what="the program's first line")

    def test_journal_gets_priorities_and_a_file_gets_times(self):
        fwd, _, _ = self.serve()
        wait_for(lambda: "serves" in fwd.text(), what="the first lines")
        self.assertRegex(fwd.text().split("\n")[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info: ")
        stat = os.stat(fwd.said)
        fwd.stop()
        with open(fwd.said, "r+b") as file:
            file.truncate()
        again = Forwarder(self.stage.folder, self.body(fwd), env={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
        self.stage.add(again)
        wait_for(lambda: "serves" in again.text(), what="the first lines")
        self.assertRegex(again.text(), r"(?m)^<6>listening on ")
        self.assertNotRegex(again.text(), r"(?m)^20\d\d-")

    @staticmethod
    def body(fwd):
        with open(fwd.conf, encoding="utf-8") as file:
            return file.read().split("\n", 1)[1]

    def test_reader_of_the_log_that_does_not_read_stops_nobody(self):
        fwd, _, _ = self.serve(rest="log: {queries: all}\n", options=["--workers", "1"])
        conf, at = self.body(fwd), fwd
        fwd.stop()
        with open(fwd.conf, "w", encoding="utf-8") as file:
            file.write(f"listen: ['{at.ip}:{at.port}']\n{conf}")
        ours, theirs = os.pipe()
        fcntl.fcntl(theirs, F_SETPIPE_SZ, 4096)
        child = subprocess.Popen([R53FWD, "--zones", fwd.conf, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=theirs)
        self.addCleanup(lambda: child.poll() is None and child.kill())
        os.close(theirs)
        query = make_query("localhost").to_wire()
        wait_for(lambda: raw(at, query, timeout=0.3), what="the start")
        # Far more lines than pipe and queue hold, and not one of them is read.
        for _ in range(5000):
            self.assertIsNotNone(raw(at, query, timeout=PATIENCE_S))
        lines = []
        reader = threading.Thread(target=lambda: self.read_all(ours, lines))
        reader.start()
        wait_for(lambda: raw(at, query) and any("lines before the last one were lost" in line for line in lines), what="the confession")
        self.assertEqual(end(child), 0)
        reader.join()
        lost = next(line for line in lines if "were lost" in line)
        self.assertGreater(int(lost.split(": ", 1)[1].split()[0]), 1000)
        self.assertIn("served", lines[-1])

    @staticmethod
    def read_all(fd, lines):
        rest = b""
        while piece := os.read(fd, 65536):
            *whole, rest = (rest + piece).split(b"\n")
            lines.extend(line.decode() for line in whole)
        os.close(fd)

    def test_errors_that_are_left_out_are_counted(self):
        fwd, _, _ = self.serve(rest="log: {queries: errors}\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(3000):
                client.sendto(b"\0\7\1\0\0\2\0\0\0\0\0\0", (fwd.ip, fwd.port))
        wait_for(lambda: "are not in the log: there were too many" in fwd.text(), patience_s=30, what="the count")
        self.assertLess(fwd.text().count("FORMERR"), 3000)


if __name__ == "__main__":
    main()
