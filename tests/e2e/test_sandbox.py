#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the daemon gives up before it serves: seen from outside, in /proc, and by what it can and cannot do afterwards. The attempts from
inside are in tests/sys."""

import glob
import os
import pwd
import shutil
import stat
import tempfile
import unittest

from lib import CORP, LOOPBACK, Address, Case, ask, endpoint_conf, main, wait_for, zones_conf

NET_BIND_SERVICE = 1 << 10
WWW = ["10.20.1.1", "10.20.1.2"]
ZONES = ["{name: corp.test, to: seoul}"]


def fields(pid):
    """/proc/PID/task/*/status, of each thread: {field: text}."""
    found = []
    for path in sorted(glob.glob(f"/proc/{pid}/task/*/status"), key=lambda p: int(p.split("/")[4])):
        with open(path, encoding="ascii", errors="replace") as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found


class Sandbox(Case):
    def conf(self, sim, rest=""):
        return zones_conf([endpoint_conf(sim, extra="policy: ordered")], ZONES, None, rest)

    def running(self, rest="", **options):
        sim = self.sim(zones=[CORP])
        return self.forwarder(self.conf(sim, rest), **options), sim

    def test_every_thread_is_confined_and_workers_more_than_the_rest(self):
        fwd, _ = self.running("workers: 2\n")
        main_thread, *workers = wait_for(
            lambda: (lambda all_: all_ if [t.get("Seccomp_filters") for t in all_].count("3") == 2 else None)(fields(fwd.pid)),
            what="the walls of two workers",
        )
        self.assertEqual("2", main_thread.get("Seccomp_filters"))
        for thread in (main_thread, *workers):
            self.assertEqual(("1", "2"), (thread["NoNewPrivs"], thread["Seccomp"]))
            self.assertEqual(0, int(thread["CapEff"], 16) & ~NET_BIND_SERVICE)
            self.assertEqual(0, int(thread["CapPrm"], 16) & ~NET_BIND_SERVICE)

    def test_off_is_off_and_is_said(self):
        fwd, sim = self.running("sandbox: off\n")
        for thread in fields(fwd.pid):
            self.assertEqual("0", thread["Seccomp"])
        self.assertIn("`sandbox: off`", fwd.text())
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        fwd.reload(self.conf(sim))
        wait_for(lambda: "`sandbox` takes effect at a restart" in fwd.text(), what="the warning")

    def test_zones_conf_is_read_after_it_was_replaced(self):
        fwd, sim = self.running()
        fresh = fwd.conf + ".fresh"
        old, fwd.conf = fwd.conf, fresh
        fwd.write_conf(self.conf(sim).replace("zones:\n", "zones:\n  - {name: added.test, to: seoul}\n"))
        fwd.conf = old
        os.rename(fresh, old)
        fwd.command("reload")
        self.assertIn("added.test", [zone["name"].rstrip(".") for zone in fwd.status()["zones"]])

    def test_a_file_elsewhere_is_out_of_reach(self):
        """zones.conf becomes a link out of its folder: what a restart would read, a reload cannot."""
        fwd, sim = self.running()
        other = os.path.join(self.stage.folder, "elsewhere")
        os.mkdir(other)
        # The stage's folder is within reach, and so is all below it; /usr is not.
        os.remove(fwd.conf)
        os.symlink("/usr/share/common-licenses/BSD", fwd.conf)
        said = "".join(fwd.command("reload", expect=1))
        self.assertIn("cannot be read: Permission denied", said)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_persist_in_another_folder_takes_effect_at_a_restart(self):
        kept, other = (os.path.join(self.stage.folder, name) for name in ("kept", "other"))
        os.mkdir(kept)
        with_persist = "cache: {persist: %s, persist-interval: 1s}\n"
        # zones.conf and the control socket lie elsewhere: what may be written is one folder alone.
        os.mkdir(other)
        sim = self.sim(zones=[CORP])
        conf = self.conf(sim, with_persist % f"{kept}/cache" + f"control: {kept}/control\n")
        fwd = self.forwarder(conf)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        wait_for(lambda: os.path.exists(f"{kept}/cache"), what="the cache's file")
        fwd.control = f"{kept}/control"
        fwd.write_conf(self.conf(sim, with_persist % f"{other}/cache" + f"control: {kept}/control\n"))
        said = "".join(fwd.command("reload"))
        self.assertIn("`persist` takes effect at a restart", said)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)

    def test_persist_in_the_root_stops_the_start_with_a_sentence(self):
        """Nothing is made there: the walls stand before it is tried."""
        fwd, _ = self.running("cache: {persist: /r53fwd-of-this-test}\n", ready=False)
        self.assertEqual(1, fwd.wait())
        self.assertIn("cannot be written to /r53fwd-of-this-test: Permission denied; ", fwd.text())
        self.assertIn("the sandbox lets no file be made in / itself: name one in a folder", fwd.text())
        self.assertFalse(os.path.exists("/r53fwd-of-this-test"))

    def test_resolv_conf_in_a_folder_that_was_made_anew_is_said_and_its_servers_are_kept(self):
        """The folder of the start is another one: whom its file names cannot be known, and is no reason to ask nobody."""
        sim = self.sim(zones=[CORP])
        elsewhere = tempfile.mkdtemp()  # than zones.conf, in whose folder all may be read
        self.addCleanup(shutil.rmtree, elsewhere)
        folder = os.path.join(elsewhere, "resolve")
        resolv = os.path.join(folder, "resolv.conf")
        servers = [LOOPBACK.ip() for _ in range(2)]

        def make(server):
            os.mkdir(folder + ".next")
            with open(f"{folder}.next/resolv.conf", "w", encoding="ascii") as file:
                file.write(f"nameserver {server}\n")
            if os.path.exists(folder):
                os.rename(folder, folder + ".before")
            os.rename(folder + ".next", folder)

        make(servers[0])
        conf = "inbound-endpoints:\n" + endpoint_conf(sim) + f"zones: [{ZONES[0]}]\n"
        fwd = self.forwarder(conf, env={"R53FWD_RESOLV_CONF": resolv})
        if "this kernel has no landlock" in fwd.text():
            self.skipTest("skipped: this kernel has no landlock")
        make(servers[1])
        said = f"{resolv} cannot be read by this process any more; the last local upstreams are kept until a restart"
        wait_for(lambda: said in fwd.text(), what="the warning")
        fwd.command("reload")
        asked = fwd.command("status", "--json", expect=None)[0]
        self.assertEqual((servers[0] in asked, servers[1] in asked), (True, False), asked)
        self.assertEqual(fwd.text().count(said), 1)
        self.assertNotIn("names nobody but us", fwd.text())

    def test_who_is_nobody_stops_the_start_with_a_sentence(self):
        fwd, _ = self.running("user: nobody-of-this-name\n", ready=False)
        self.assertEqual(1, fwd.wait())
        self.assertEqual(1, len(fwd.text().splitlines()), fwd.text())
        self.assertIn("`user: nobody-of-this-name`: there is no such user", fwd.text())


@unittest.skipIf(os.geteuid() != 0, "only root becomes another user")
class User(Case):
    def setUp(self):
        super().setUp()
        self.who = pwd.getpwnam("nobody")
        os.chmod(self.stage.folder, 0o755)
        self.run_folder = os.path.join(self.stage.folder, "run")
        self.state = os.path.join(self.stage.folder, "state")
        os.mkdir(self.state)
        os.chown(self.state, self.who.pw_uid, self.who.pw_gid)

    def start(self, more=()):
        """On a port below 1024, which nobody but root binds."""
        sim = self.sim(zones=[CORP])
        ip = LOOPBACK.ip()
        rest = f"user: nobody\ncontrol: {self.run_folder}/control\ncache: {{persist: {self.state}/cache, persist-interval: 1s}}\n"
        conf = zones_conf([endpoint_conf(sim, extra="policy: ordered")], ZONES, None, rest)
        fwd = self.forwarder(conf, at=Address(ip, 53, None), more=more)
        fwd.control = f"{self.run_folder}/control"
        return fwd, conf

    def test_the_user_is_nobody_and_binds_port_53_at_a_reload(self):
        fwd, conf = self.start()
        for thread in fields(fwd.pid):
            self.assertEqual({str(self.who.pw_uid)}, set(thread["Uid"].split("\t")))
            self.assertEqual({str(self.who.pw_gid)}, set(thread["Gid"].split("\t")))
            self.assertEqual(NET_BIND_SERVICE, int(thread["CapEff"], 16))
            self.assertEqual(NET_BIND_SERVICE, int(thread["CapBnd"], 16))
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        added = Address(LOOPBACK.ip(), 53, None)
        fwd.more = [f"{added.ip}:53"]
        fwd.write_conf(conf)
        fwd.command("reload")
        self.expect(ask(added, "www.corp.test"), ips=WWW)
        self.expect(ask(added, "www.corp.test", tcp=True), ips=WWW)

    def test_what_it_makes_is_the_users_and_goes_with_it(self):
        fwd, _ = self.start()
        for path, kind, mode in ((self.run_folder, stat.S_ISDIR, 0o750), (fwd.control, stat.S_ISSOCK, 0o660)):
            status = os.stat(path)
            self.assertTrue(kind(status.st_mode), path)
            self.assertEqual((self.who.pw_uid, self.who.pw_gid, mode), (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)), path)
        self.expect(ask(fwd, "www.corp.test"), ips=WWW)
        self.assertEqual(0, fwd.stop())
        self.assertFalse(os.path.exists(fwd.control))
        status = os.stat(f"{self.state}/cache")
        self.assertEqual((self.who.pw_uid, 0o600), (status.st_uid, stat.S_IMODE(status.st_mode)))

    def test_a_folder_that_the_user_cannot_write_stops_the_start(self):
        os.chown(self.state, 0, 0)
        sim = self.sim(zones=[CORP])
        rest = f"user: nobody\ncontrol: {self.run_folder}/control\ncache: {{persist: {self.state}/cache}}\n"
        fwd = self.forwarder(zones_conf([endpoint_conf(sim)], ZONES, None, rest), ready=False)
        self.assertEqual(1, fwd.wait())
        self.assertRegex(fwd.text(), r"cache.*Permission denied")

    def test_a_file_that_the_user_cannot_read_is_said_at_the_start(self):
        """It was read as root; no reload will be able to."""
        resolv = os.path.join(self.stage.folder, "resolv.conf")
        with open(resolv, "w", encoding="ascii") as file:
            file.write("nameserver 192.0.2.53\n")
        os.chmod(resolv, 0o600)
        sim = self.sim(zones=[CORP])
        conf = "inbound-endpoints:\n" + endpoint_conf(sim) + f"zones: [{ZONES[0]}]\nuser: nobody\ncontrol: {self.run_folder}/control\n"
        mask = os.umask(0o077)
        try:
            fwd = self.forwarder(conf, env={"R53FWD_RESOLV_CONF": resolv})
        finally:
            os.umask(mask)
        fwd.control = f"{self.run_folder}/control"
        as_who = f"(it runs as uid {self.who.pw_uid} now, without root's powers)"
        self.assertIn(f"{fwd.conf} cannot be read by this process any more {as_who}: no reload will work until it can", fwd.text())
        self.assertIn(f"{resolv} cannot be read by this process {as_who}: local upstreams that it comes to name are not seen", fwd.text())
        self.assertIn("Permission denied", fwd.command("reload", expect=1)[1])
        os.chmod(fwd.conf, 0o644)
        fwd.command("reload")

    def test_a_file_that_can_be_read_is_no_news(self):
        fwd, _ = self.start()
        self.assertNotIn("cannot be read", fwd.text())


if __name__ == "__main__":
    main()
