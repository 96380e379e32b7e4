#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A long run at half of what the machine can do, while everything happens that happens in a year: reloads, outages of an address, an AZ
and the whole endpoint, flushes, drains, clients that come and go over TCP. In the end: nothing lost, memory and descriptors flat.

    soak.py [--minutes N] [--qps N]

The programs are those of R53FWD and R53SIM, by default build/release. Exit status 1 when something was lost or has grown."""

import argparse
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
os.environ.setdefault("R53FWD", os.path.join(ROOT, "build", "release", "r53fwd"))
os.environ.setdefault("R53SIM", os.path.join(ROOT, "build", "release", "r53sim"))

import lib  # noqa: E402  (needs the two variables)

NAMES = 2000
MEASURED_S = 3
PAUSE_S = (1.0, 3.0)
OUTAGE_S = 6
SAMPLE_S = 1.0
# What may come on top of the highest of the first third: an allocator's and the kernel's moods.
RSS_SLACK, RSS_SLACK_KIB = 1.10, 4096
FD_SLACK, FD_SLACK_COUNT = 1.10, 64
# Of queries that no socket's queue had room for.
MISSED_MOST = 0.02


def write_questions(folder):
    path = os.path.join(folder, "questions")
    with open(path, "w", encoding="ascii") as file:
        for i in range(NAMES):
            file.write(f"n{i}.wild.corp.test A\n")
            if i % 20 == 0:
                file.write("www.example A\nwww.corp.test A\nnone%d.hasty.test A\n" % i)
    return path


def dnsperf(fwd, questions, seconds, qps=None):
    argv = [lib.find_program("dnsperf"), "-s", fwd.ip, "-p", str(fwd.port), "-d", questions, "-l", str(seconds), "-c", "16"]
    argv += ["-T", "1", "-t", "6"]
    argv += ["-Q", str(qps), "-q", "20000"] if qps else ["-q", "100"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def total(metrics, name):
    """Of all labels; but for answers of upstreams, which are dropped under the name of queries."""
    return sum(v for key, v in metrics.items() if key.split("{")[0] == f"r53fwd_{name}_total" and "malformed_answer" not in key)


def open_questions(fwd):
    """Queries that the daemon has taken and neither answered nor dropped, by its own counters."""
    metrics = fwd.status(expect=None)["metrics"]
    return total(metrics, "queries") - total(metrics, "responses") - total(metrics, "dropped")


def number(text, label):
    found = re.search(re.escape(label) + r":\s+([0-9.]+)", text)
    if not found:
        raise SystemExit(f"dnsperf says nothing of {label!r}:\n{text}")
    return float(found[1])


class Soak:
    def __init__(self, stage):
        self.sim = stage.add(lib.Sim(stage.folder, [lib.CORP, lib.HASTY]))
        self.world = stage.add(lib.Sim(stage.folder, [lib.WORLD], count=1, name="world"))
        endpoint = lib.endpoint_conf(self.sim, extra="max-qps: 1000000, probe: {interval: 500ms}")
        zones = ["{name: corp.test, to: seoul, keep-warm: [www.corp.test]}", "{name: hasty.test, to: seoul}"]
        self.texts = [
            lib.zones_conf([endpoint], zones + extra, self.world, f"workers: 2\ncache: {{size: 8MiB, persist: {stage.folder}/cache}}\n")
            for extra in ([], ["{name: other.test, to: seoul}"])
        ]
        self.fwd = stage.add(lib.Forwarder(stage.folder, self.texts[0]))
        self.samples = []
        self.events = {}
        self.stopping = threading.Event()
        self.trouble = None

    # ---- what happens

    def reload(self):
        self.texts.reverse()
        self.fwd.write_conf(self.texts[0])
        self.fwd.command("reload")

    def flush(self):
        self.fwd.command("flush", *random.choice((["--all"], ["--zone", "corp.test"], ["www.corp.test"])))

    def outage(self):
        where = random.choice((0, "az2", "all"))
        fault = random.choice((["silent"], ["closed"], ["rcode", "SERVFAIL"], ["loss", "30%"], ["delay", "300ms"], ["truncate"]))
        self.sim.ctl(where, *fault)
        self.stopping.wait(OUTAGE_S)
        self.sim.ctl("all", "heal")

    def drain(self):
        address = f"{self.sim.addresses[1].ip}:{self.sim.addresses[1].port}"
        self.fwd.command("drain", address)
        self.stopping.wait(1)
        self.fwd.command("undrain", address)

    def churn(self):
        """Clients over TCP: some ask, some say nothing, some leave in the middle of a question."""
        query = lib.make_query("www.corp.test").to_wire()
        frame = len(query).to_bytes(2, "big") + query
        held = [socket.create_connection((self.fwd.ip, self.fwd.port), timeout=5) for _ in range(40)]
        for i, s in enumerate(held):
            s.sendall(frame if i % 3 == 0 else frame[: i % 20])
        for s in held[::3]:
            if lib.read_frame(s) is None:
                raise AssertionError("a TCP client was not answered")
        for s in held:
            s.close()

    def _happen(self):
        kinds = (self.reload, self.flush, self.outage, self.drain, self.churn)
        turn = 0
        try:
            while not self.stopping.wait(random.uniform(*PAUSE_S)):
                kind = kinds[turn % len(kinds)]
                turn += 1
                kind()
                self.events[kind.__name__] = self.events.get(kind.__name__, 0) + 1
        except Exception as trouble:  # pylint: disable=broad-except; told at the end
            self.trouble = f"{kind.__name__}: {trouble}"
            self.stopping.set()

    # ---- what is watched

    def _watch(self):
        while not self.stopping.wait(SAMPLE_S):
            with open(f"/proc/{self.fwd.pid}/status", encoding="ascii") as file:
                rss = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
            self.samples.append((rss, len(os.listdir(f"/proc/{self.fwd.pid}/fd"))))

    def run(self, seconds, qps, questions):
        threads = [threading.Thread(target=target) for target in (self._happen, self._watch)]
        perf = dnsperf(self.fwd, questions, seconds, qps)
        for thread in threads:
            thread.start()
        said = perf.communicate()[0]
        self.stopping.set()
        for thread in threads:
            thread.join()
        self.sim.ctl("all", "heal")
        if self.fwd.child.poll() is None:
            lib.wait_for(lambda: open_questions(self.fwd) <= 0, patience_s=10, what="the last answers")
        return said


def judge(soak, said):
    """Prints the final lines; the exit status."""
    third = max(1, len(soak.samples) // 3)
    wrong = [soak.trouble] if soak.trouble else []
    peaks = [[max(s[i] for s in part) for part in (soak.samples[:third], soak.samples[-third:])] for i in (0, 1)]
    if peaks[0][1] > peaks[0][0] * RSS_SLACK + RSS_SLACK_KIB:
        wrong.append("memory has grown")
    if peaks[1][1] > peaks[1][0] * FD_SLACK + FD_SLACK_COUNT:
        wrong.append("descriptors have grown")
    # What the client misses may have fallen out of a socket's queue, on a machine that others use too; what was taken must be answered.
    unanswered = int(number(said, "Queries lost"))
    lost = None if soak.fwd.child.poll() is not None else open_questions(soak.fwd)
    if lost is None:
        wrong.append("the daemon has ended")
    elif lost > 0:
        wrong.append(f"{lost} queries were taken and lost")
    if unanswered > MISSED_MOST * number(said, "Queries sent"):
        wrong.append(f"{unanswered} queries had no answer")
    codes = re.search(r"Response codes:\s+(.*)", said)
    print(f"soak: {int(number(said, 'Queries sent'))} queries, {lost} taken and lost, {unanswered} fell out of full queues")
    print("soak: " + (codes[1] if codes else "no answers"))
    print("soak: " + ", ".join(f"{count} x {kind}" for kind, count in sorted(soak.events.items())))
    print("soak: RSS at most {} KiB in the first third, {} KiB in the last; descriptors {}, {}".format(*peaks[0], *peaks[1]))
    print("soak: " + ("; ".join(wrong) if wrong else "nothing lost, nothing grown"))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="half of the machine's speed, for long")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--qps", type=int, help="instead of half of what a short run reaches")
    options = parser.parse_args()
    stage = lib.Stage()
    try:
        soak = Soak(stage)
        questions = write_questions(stage.folder)
        whole = number(dnsperf(soak.fwd, questions, MEASURED_S).communicate()[0], "Queries per second")
        qps = options.qps or max(100, int(whole / 2))
        print(f"soak: {whole:.0f} queries a second at the most; {qps} for {options.minutes:g} min", flush=True)
        status = judge(soak, soak.run(max(1, int(options.minutes * 60)), qps, questions))
        if status:
            print("\n".join(soak.fwd.text().splitlines()[-20:]), file=sys.stderr)
    finally:
        wrong = stage.strike()
        shutil.rmtree(stage.folder, ignore_errors=True)
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else status


if __name__ == "__main__":
    sys.exit(main())
