#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd unit, its user and the zones.conf that come with the package: judged by systemd's own tools, without systemd running."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

R53FWD = os.environ["R53FWD"]
SOURCE = os.environ["R53FWD_SOURCE"]
UNIT = os.path.join(SOURCE, "packaging", "debian", "r53fwd.service")
SYSUSERS = os.path.join(SOURCE, "packaging", "debian", "r53fwd.sysusers")
ZONES = os.path.join(SOURCE, "conf", "zones.conf")

# Tenths: 1.5.
MOST_EXPOSED = 15


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "SYSTEMD_PAGER": "cat"})


def value(key):
    """The last one, as systemd has it."""
    found = re.findall(rf"^{key}=(.*)$", read(UNIT), re.M)
    return found[-1] if found else None


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()
    return int(number) * (60 if unit == "min" else 1)


class Unit(unittest.TestCase):
    """The unit as systemd reads it; the program stands where it was built."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="r53fwd-unit.")
        self.addCleanup(shutil.rmtree, self.folder)
        self.unit = os.path.join(self.folder, "r53fwd.service")
        with open(self.unit, "w", encoding="utf-8") as file:
            file.write(read(UNIT).replace("/usr/bin/r53fwd", R53FWD))

    def test_systemd_reads_every_line(self):
        done = run("systemd-analyze", "verify", "--man=no", self.unit)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_a_wrong_line_would_be_seen(self):
        with open(self.unit, "a", encoding="utf-8") as file:
            file.write("[Service]\nProtectSystme=strict\n")
        self.assertIn("ProtectSystme", run("systemd-analyze", "verify", "--man=no", self.unit).stderr)

    def test_exposure_is_at_most_1_5(self):
        done = run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", self.unit)
        said = re.search(r"Overall exposure level for r53fwd.service: (\d+\.\d)", done.stdout)
        self.assertIsNotNone(said, done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0, done.stdout)
        print(f"systemd-analyze security: {said[1]}", flush=True)

    def test_user_of_the_unit_is_made(self):
        done = run("systemd-sysusers", "--dry-run", SYSUSERS)
        self.assertEqual(done.returncode, 0, done.stderr)
        line = re.search(r'^u (\S+) - "[^"]+" (\S+)$', read(SYSUSERS), re.M)
        self.assertEqual((value("User"), value("Group")), (line[1], line[1]))
        self.assertEqual(line[2], "/var/lib/" + value("StateDirectory"))


class Papers(unittest.TestCase):
    """What the unit, the program and the installed zones.conf say of one another."""

    def test_folders_are_where_the_program_looks(self):
        done = run(R53FWD, "check", "--zones", ZONES)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"\ncontrol: /run/{value('RuntimeDirectory')}/control.sock\n", done.stdout)
        self.assertIn(f"persist: /var/lib/{value('StateDirectory')}/cache\n", done.stdout)
        self.assertIn("--zones /etc/r53fwd/zones.conf", value("ExecStart"))
        self.assertIn("conf/zones.conf DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/r53fwd", read(os.path.join(SOURCE, "src", "CMakeLists.txt")))

    def test_only_the_port_is_a_privilege(self):
        self.assertEqual(value("AmbientCapabilities"), "CAP_NET_BIND_SERVICE")
        self.assertEqual(value("CapabilityBoundingSet"), "CAP_NET_BIND_SERVICE")

    def test_a_stop_has_the_time_that_the_manual_promises(self):
        manual = read(os.path.join(SOURCE, "docs/man/r53fwd.8")).replace("\n", " ")
        promised = [int(s) for s in re.findall(r"for (\d+) seconds at most", manual)]
        self.assertEqual(len(promised), 2)
        self.assertGreater(seconds(value("TimeoutStopSec")), sum(promised))

    def test_restarts_are_limited(self):
        burst = int(value("StartLimitBurst"))
        self.assertGreater(seconds(value("StartLimitIntervalSec")), 2 * burst * seconds(value("RestartSec")))

    def test_installed_zones_conf_forwards_nothing_yet(self):
        done = run(R53FWD, "check", "--zones", ZONES)
        self.assertIn("Routes, the longest suffix first:\n  .     local  all other names\n\n", done.stdout)

    def test_its_examples_are_right_once_the_signs_are_taken_off(self):
        text = read(ZONES)
        opened = re.sub(r"^#(?! |$)|^#(?=  )", "", text.replace("zones: []\n", ""), flags=re.M)
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
            file.write(opened)
            file.flush()
            done = run(R53FWD, "check", "--zones", file.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("corp.example.internal", "ssm.ap-northeast-2.amazonaws.com", "10.10.in-addr.arpa", "192.168.0.2:53"):
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    missing = [name for name in ("systemd-analyze", "systemd-sysusers") if shutil.which(name) is None]
    if missing:
        # What needs no tool is looked at all the same.
        result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Papers))
        print(f"skipped: {', '.join(missing)} is not here (Debian package systemd), so nobody can judge the unit")
        sys.exit(77 if result.wasSuccessful() else 1)
    unittest.main()
