# SPDX-License-Identifier: Apache-2.0
"""The cache on the disk: what was known before a restart is known after it, however the one before ended, and nothing wrong is."""

import collections
import contextlib
import os
import random
import re
import stat
import time

from lib import (
    AT_ONCE_S,
    CORP,
    HASTY,
    Address,
    Case,
    Forwarder,
    LOOPBACK,
    SOA,
    STEADY,
    ask,
    endpoint_conf,
    main,
    wait_for,
    zones_conf,
)

ZONES = ("{name: [corp.test, hasty.test], to: seoul}",)
WWW = ["10.20.1.1", "10.20.1.2"]

# Names that can be told apart by what they say, a kilobyte each: a file of two megabytes.
MANY = 2000
TELLING = f"$ORIGIN telling.test.\n$TTL 3600\n@ SOA {SOA} 60\n@ NS ns-0.awsdns-00.com.\n" + "".join(
    f'n{i} TXT "n{i}" "{"x" * 250}" "{"y" * 250}" "{"z" * 250}" "{"-" * 200}"\n' for i in range(MANY)
)

# Something of somebody's.
FOREIGN = "127.0.0.1 localhost\n::1 localhost\n"

# Kills. Every day as many as fit into some seconds; with KILLS=200 in the environment as many as are said, however long it takes.
KILLS_DAILY, KILLS_S = 30, 40
KILLS = int(os.environ.get("KILLS", "0"))


def told(response):
    """The first word of a TXT answer."""
    return response.answer[0][0].strings[0].decode() if response.answer else None


class Persist(Case):
    def setUp(self):
        super().setUp()
        ip = LOOPBACK.ip()
        self.at = Address(ip, LOOPBACK.port(ip), None)
        self.path = os.path.join(self.stage.folder, "cache")

    def conf(self, sim, world=None, zones=ZONES, more="", path=None, endpoint=STEADY):
        rest = f"cache: {{persist: {path or self.path}{more}}}\n"
        return zones_conf([endpoint_conf(sim, extra=endpoint)], zones, world, rest)

    def start(self, conf, **options):
        return self.forwarder(conf, at=self.at, **options)

    def end(self, program, how="stop"):
        """Ends it, so that another one may take its place: as it should be, or by kill -9."""
        self.stage.programs.remove(program)
        if how == "kill":
            program.child.kill()
            program.child.wait()
            return
        self.assertEqual(program.stop(), 0, program.text())
        self.assertNotIn("Sanitizer", program.text())

    def await_log(self, program, text):
        return wait_for(lambda: program.check_alive() or text in program.text(), what=f"`{text}`")

    def test_known_names_are_answered_after_a_restart_when_no_address_answers(self):
        sim = self.sim()
        conf = self.conf(sim)
        fwd = self.start(conf)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.expect(ask(fwd, "app.corp.test"), ips=WWW)
        self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"])
        self.expect(ask(fwd, "nothing.hasty.test"), "NXDOMAIN")
        self.end(fwd)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertFalse(os.path.exists(self.path + ".new"))
        sim.ctl("all", "silent")
        sim.change_zone(0, CORP.replace("10.20.1.1", "10.20.9.9"))
        fwd = self.start(conf)
        # Fresh ones need nobody.
        with self.within(AT_ONCE_S):
            response = self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertLessEqual(response.answer[0].ttl, 60)
        # Those that had a second to live are stale by now, and given at once when the outage is known.
        self.await_log(fwd, "seoul is down")
        wait_for(lambda: ask(fwd, "brief.corp.test").answer[0].ttl == 30, what="the expiry")
        with self.within(AT_ONCE_S):
            response = self.expect(ask(fwd, "brief.corp.test"), ips=["10.20.1.3"], ede_code=3)
        self.assertEqual(response.answer[0].ttl, 30)
        with self.within(AT_ONCE_S):
            self.expect(ask(fwd, "nothing.hasty.test"), "NXDOMAIN", ede_code=19)
        self.expect(ask(fwd, "v6.corp.test", "AAAA"), "SERVFAIL", ede_code=22)
        self.assertEqual(sim.count("brief.corp.test"), 1)

    def test_ttls_go_on_while_nobody_runs(self):
        sim = self.sim()
        conf = self.conf(sim)
        fwd = self.start(conf)
        first = ask(fwd, "www.corp.test").answer[0].ttl
        asked = time.monotonic()
        self.end(fwd)
        wait_for(lambda: time.monotonic() - asked > 2.5)
        fwd = self.start(conf)
        response = self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertLessEqual(response.answer[0].ttl, first - 2)
        self.assertEqual(sim.count("www.corp.test", "A"), 1)

    def test_it_is_written_at_the_interval(self):
        sim = self.sim()
        fwd = self.start(self.conf(sim, more=", persist-interval: 1s"))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        wait_for(lambda: os.path.exists(self.path), what="the file")
        self.end(fwd, "kill")
        self.end(sim)
        fwd = self.start(self.conf(sim))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_it_is_written_when_an_endpoint_goes_down(self):
        sim = self.sim()
        fwd = self.start(self.conf(sim, endpoint="policy: ordered"))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        sim.ctl("all", "silent")
        with contextlib.suppress(AssertionError):
            ask(fwd, "v6.corp.test", "AAAA")
        self.await_log(fwd, "seoul is down")
        wait_for(lambda: os.path.exists(self.path), what="the file")
        self.end(fwd, "kill")
        fwd = self.start(self.conf(sim))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_what_is_routed_otherwise_is_asked_for_again(self):
        sim, world = self.sim(), self.world()
        fwd = self.start(self.conf(sim, world))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.end(fwd)
        fwd = self.start(self.conf(sim, world, zones=("{name: hasty.test, to: seoul}",)))
        self.expect(ask(fwd, "www.corp.test"), ips=["192.0.2.83"])

    def test_a_reload_may_change_the_path(self):
        sim = self.sim()
        other = self.path + ".other"
        fwd = self.start(self.conf(sim))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        fwd.reload(self.conf(sim, path=other))
        wait_for(lambda: os.path.exists(other), what="the file")
        self.assertFalse(os.path.exists(self.path))

    def test_a_reload_that_names_a_folder_out_of_reach_goes_on_with_the_file_there_is(self):
        sim = self.sim()
        fwd = self.start(self.conf(sim))
        elsewhere = os.path.join(self.stage.folder, "elsewhere")
        os.mkdir(elsewhere)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        fwd.reload(self.conf(sim, path=elsewhere + "/cache", zones=("{name: [corp.test, late.test], to: seoul}",)))
        self.await_log(fwd, "`persist` takes effect at a restart")
        self.expect(ask(fwd, "localhost"))
        self.end(fwd)
        self.assertEqual(os.listdir(elsewhere), [])
        self.assertIn(f"answers are kept in {self.path}", fwd.text())

    def test_a_path_of_a_reload_that_cannot_be_written_is_a_warning_without_walls(self):
        sim = self.sim()
        fwd = self.start(self.conf(sim) + "sandbox: off\n")
        fwd.reload(self.conf(sim, path=self.path + "/no/folder", zones=("{name: corp.test, to: local}",)) + "sandbox: off\n")
        self.await_log(fwd, "could not be written")
        self.expect(ask(fwd, "www.corp.test"), "SERVFAIL")

    def test_a_path_that_cannot_be_written_ends_the_start(self):
        sim = self.sim()
        for path in (self.path + "/no/folder", self.stage.folder, self.stage.folder + "/", "/proc/cache"):
            fwd = self.start(self.conf(sim, path=path), ready=False, name=f"r53fwd{len(self.stage.programs)}")
            self.assertEqual(fwd.wait(), 1)
            errors = [line for line in fwd.text().splitlines() if "error" in line]
            self.assertEqual(len(errors), 1, fwd.text())
            self.assertIn(f"the cache cannot be written to {path}", errors[0])

    def test_links_and_damaged_files_are_not_read_and_links_stay(self):
        sim = self.sim()
        target = os.path.join(self.stage.folder, "target")
        with open(target, "w", encoding="ascii") as file:
            file.write(FOREIGN)
        os.symlink(target, self.path)
        fwd = self.start(self.conf(sim))
        self.assertIn("symbolic link", fwd.text())
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.end(fwd)
        self.assertTrue(os.path.islink(self.path))
        with open(target, encoding="ascii") as file:
            self.assertEqual(file.read(), FOREIGN)
        # What is there under its own name, but no cache, is replaced.
        fwd = self.start(self.conf(sim, path=target), name="r53fwd2")
        self.assertIn("it is no cache of r53fwd's", fwd.text())
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.end(fwd)
        fwd = self.start(self.conf(sim, path=target), name="r53fwd3")
        self.assertIn("answers were taken", fwd.text())
        self.assertEqual(sim.count("www.corp.test", "A"), 2)

    def fill(self, conf):
        """Leaves a file with many answers."""
        fwd = self.start(conf)
        for i in range(MANY):
            self.assertEqual(told(ask(fwd, f"n{i}.telling.test", "TXT")), f"n{i}")
        self.end(fwd)

    def told_right(self, fwd, i):
        response = ask(fwd, f"n{i}.telling.test", "TXT", timeout=2)
        self.assertEqual(told(response), f"n{i}", fwd.text())

    def kill_while_it_reads(self, fwd, dice):
        time.sleep(dice.uniform(0.005, 0.15))

    def kill_while_it_stops(self, fwd, dice):
        wait_for(fwd.is_ready, what="the start")
        for i in dice.sample(range(MANY), 2):
            self.told_right(fwd, i)
        fwd.child.terminate()
        time.sleep(dice.uniform(0, 0.012))

    def kill_while_it_serves(self, fwd, dice):
        """It writes each second, for there is always something new; the kill comes as it begins, and a little later each time."""
        wait_for(fwd.is_ready, what="the start")
        begun = time.monotonic()
        while not os.path.exists(self.path + ".new") and time.monotonic() - begun < 3:
            self.fresh += 1
            self.expect(ask(fwd, f"f{self.fresh // 50}.fresh.telling.test"), ips=["10.20.1.53"])
            self.told_right(fwd, dice.randrange(MANY))
        time.sleep(dice.uniform(0, 0.01))

    def test_whenever_it_is_killed_the_next_start_reads_a_whole_file(self):
        sim = self.sim(zones=[TELLING + "*.fresh A 10.20.1.53\n"], count=2)
        conf = self.conf(sim, zones=("{name: telling.test, to: seoul}",), more=", persist-interval: 1s")
        self.fill(conf)
        dice = random.Random(53)
        begun, kills, landed, self.fresh = time.monotonic(), 0, collections.Counter(), 0
        ways = (self.kill_while_it_reads, self.kill_while_it_stops, self.kill_while_it_serves)

        def while_it_was_written():
            return landed["kill_while_it_stops"] + landed["kill_while_it_serves"]

        def are_enough():
            if KILLS:
                return kills >= KILLS
            if not while_it_was_written():
                return kills >= 3 * KILLS_DAILY
            return kills >= KILLS_DAILY or time.monotonic() - begun > KILLS_S

        while not are_enough():
            fwd = Forwarder(self.stage.folder, conf, name="killed", at=self.at, ready=False)
            try:
                ways[kills % 3](fwd, dice)
            finally:
                landed[ways[kills % 3].__name__] += os.path.exists(self.path + ".new")
                fwd.child.kill()
                fwd.child.wait()
            kills += 1
        print(f"{kills} kills, of which while the file was being written: {dict(landed)}", flush=True)
        self.assertGreater(while_it_was_written(), 0)
        text = fwd.text()
        self.assertNotIn("was not read", text)
        self.assertNotIn("Sanitizer", text)
        # All that were read were whole, and none has less than the one before it began with.
        taken = [int(n) for n in re.findall(r"(\d+) answers were taken from", text)]
        self.assertGreaterEqual(len(taken), kills // 2)
        self.assertEqual(taken, sorted(taken))
        self.assertGreaterEqual(taken[0], MANY)
        # What was known at the beginning came from the file each time.
        asked = collections.Counter(q.name for q in sim.queries(type="TXT"))
        self.assertEqual({asked[f"n{i}.telling.test."] for i in range(MANY)}, {1})
        fwd = self.start(conf)
        self.told_right(fwd, 7)


if __name__ == "__main__":
    main()
