# SPDX-License-Identifier: Apache-2.0
"""The Debian packages and the tarball of the last commit: built twice, installed in a Debian as it comes, used, and purged."""

import glob
import hashlib
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import unittest

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from chroot import Chroot, obstacle, own_mounts, run  # noqa: E402
from lib import Stage, Program, wait_for  # noqa: E402
from netns import SKIPPED, Namespace  # noqa: E402

# What the tarball's README says.
OLDEST_GLIBC = (2, 36)
PACKAGES = ["r53fwd", "r53fwd-http", "r53fwd-tools"]

PLACE = OUT = None

ZONES_CONF = """\
listen: [127.0.0.1:53]
inbound-endpoints:
  seoul:
    addresses:
      - {ip: 127.0.10.1, az: apne2-az1}
      - {ip: 127.0.10.2, az: apne2-az2}
zones:
  - {name: corp.example.internal, to: seoul}
  - {reverse: 10.20.0.0/16, to: seoul}
local-upstreams: [127.0.20.1]
"""
HTTP = "http: 127.0.0.1:9553\n"

SIM = ["--address", "127.0.10.1,az=apne2-az1", "127.0.10.2,az=apne2-az2", "127.0.20.1,az=office"]
SOA = "60 SOA ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 60"
CORP = f"""
$ORIGIN corp.example.internal.
@ {SOA}
www 60 A 10.20.1.10
$ORIGIN 20.10.in-addr.arpa.
@ {SOA}
10.1 60 PTR www.corp.example.internal.
"""
WORLD = f"$ORIGIN .\n@ {SOA}\nwww.example.com. 60 A 192.0.2.80\n"


def packages(folder, pattern="*"):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(folder, pattern)) if path.endswith((".deb", ".tar.xz")))


def octets(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def setUpModule():
    """What all tests here look at is built once."""
    global PLACE, OUT
    own_mounts()
    PLACE = tempfile.mkdtemp(prefix="r53fwd-package.")
    unittest.addModuleCleanup(shutil.rmtree, PLACE, ignore_errors=True)
    OUT = os.path.join(PLACE, "once")
    print(run(os.path.join(SOURCE, "packaging", "build.sh"), OUT, cwd=SOURCE).stdout, flush=True)


def deb(name):
    (found,) = glob.glob(os.path.join(OUT, f"{name}_*.deb"))
    return found


def unpack(name):
    to = os.path.join(PLACE, name)
    run("dpkg-deb", "--extract", deb(name), to)
    return to


class Built(unittest.TestCase):
    def test_same_commit_gives_the_same_octets(self):
        again = os.path.join(PLACE, "twice")
        run(os.path.join(SOURCE, "packaging", "build.sh"), again, cwd=SOURCE)
        self.assertGreaterEqual(len(packages(again)), 7)
        self.assertEqual(packages(OUT), packages(again))
        different = [name for name in packages(again) if octets(os.path.join(OUT, name)) != octets(os.path.join(again, name))]
        self.assertEqual(different, [])

    def test_debug_symbols_are_apart(self):
        for package, program in (("r53fwd", "r53fwd"), ("r53fwd-http", "r53fwd-http"), ("r53fwd-tools", "r53sim")):
            binary = os.path.join(unpack(package), "usr", "bin", program)
            self.assertNotIn(".debug_info", run("readelf", "--sections", binary).stdout)
            build_id = re.search(r"Build ID: (\w+)", run("readelf", "--notes", binary).stdout)[1]
            debug = os.path.join(unpack(f"{package}-dbgsym"), "usr/lib/debug/.build-id", build_id[:2], f"{build_id[2:]}.debug")
            self.assertIn(".debug_info", run("readelf", "--sections", debug).stdout)


class Installed(unittest.TestCase):
    """On a Debian that has nothing but the base."""

    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.strike)
        self.debian = Chroot()
        self.addCleanup(self.debian.delete)
        self.network = Namespace("package")
        self.addCleanup(self.network.delete)
        # getent asks for addresses of a kind only where the host has one besides the loopback's (AI_ADDRCONFIG).
        self.network.ip("link", "add", "eth0", "type", "veth", "peer", "name", "nowhere")
        self.network.ip("address", "add", "10.9.0.2/24", "dev", "eth0")
        self.network.ip("link", "set", "eth0", "up")

    def strike(self):
        self.assertEqual(self.stage.strike(), [])

    def snapshot(self):
        """Every file, its kind and mode, with the content of those that name accounts."""
        found = {}
        changing = r"/(?:proc|dev|sys|run|tmp)/|/var/(?:lib/(?:dpkg|apt)|cache|log)/|/etc/(?:ld\.so\.cache|(?:passwd|group|g?shadow)-)$"
        for folder, folders, names in os.walk(self.debian.root):
            for name in folders + names:
                path = os.path.join(folder, name)
                inside = path[len(self.debian.root) :]
                if re.match(changing, inside + ("/" if name in folders else "")):
                    continue
                found[inside] = stat.filemode(os.lstat(path).st_mode)
            folders[:] = [f for f in folders if not re.match(changing, os.path.join(folder, f)[len(self.debian.root) :] + "/")]
        for name in ("/etc/passwd", "/etc/group", "/etc/resolv.conf", "/etc/nsswitch.conf"):
            found[name] = self.debian.read(name)
        return found

    def processes(self):
        """Who runs with this Debian as its root."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/root") == self.debian.root:
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                        found.append(file.read().strip())
            except OSError:
                continue
        return found

    def start(self, name, *argv):
        with self.network.inside():
            return self.stage.add(Program(name, self.stage.folder, self.debian.words(*argv)))

    def as_the_unit_does(self):
        """What systemd would give it: user, folders, one capability."""
        unit = self.debian.read("/lib/systemd/system/r53fwd.service")
        (user,) = re.findall(r"^User=(.*)$", unit, re.M)
        (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.M)
        (capability,) = re.findall(r"^AmbientCapabilities=CAP_(\w+)$", unit, re.M)
        self.debian.run("install", "-d", "-o", user, "-g", user, "/run/r53fwd", "/var/lib/r53fwd")
        one = f"+{capability.lower()}"
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
        return [*drop, f"--bounding-set=-all,{one}", f"--inh-caps=-all,{one}", f"--ambient-caps=-all,{one}", *line.split()]

    def getent(self, *words):
        with self.network.inside():
            return self.debian.run("getent", *words, check=False).stdout

    def test_installed_used_and_purged(self):
        before = self.snapshot()
        files = [deb(name) for name in PACKAGES]
        for file in files:
            shutil.copy(file, self.debian.path("/"))
        names = [f"./{os.path.basename(file)}" for file in files]
        self.debian.install(*names)
        for file in names:
            os.unlink(self.debian.path(file[1:]))
        # Installed, and nothing else: the host asks whom it asked, nobody runs, nothing is to be started.
        after = self.snapshot()
        self.assertEqual(after["/etc/resolv.conf"], before["/etc/resolv.conf"])
        self.assertEqual(after["/etc/nsswitch.conf"], before["/etc/nsswitch.conf"])
        self.assertEqual(self.processes(), [])
        self.assertEqual([path for path in after if re.search(r"/etc/systemd/system/.*r53fwd", path)], [])
        for path in ("/etc/r53fwd/zones.conf", "/usr/share/man/man8/r53fwd.8.gz", "/usr/share/man/man5/zones.conf.5.gz", "/usr/bin/r53sim",
                     "/usr/share/bash-completion/completions/r53fwd", "/usr/lib/sysusers.d/r53fwd.conf"):  # fmt: skip
            self.assertIn(path, after)
        self.debian.run("r53fwd", "check")
        self.use()
        # Installed once more, zones.conf stays as it was written.
        shutil.copy(files[0], self.debian.path("/"))
        self.debian.run("dpkg", "--install", names[0])
        os.unlink(self.debian.path(names[0][1:]))
        self.assertEqual(self.debian.read("/etc/r53fwd/zones.conf"), ZONES_CONF)
        self.debian.run("apt-get", "purge", "-q", "-y", *PACKAGES)
        self.debian.run("apt-get", "autoremove", "-q", "-y", "--purge")
        self.debian.resolv_of_the_machine()
        left = self.snapshot()
        self.assertEqual({path: left[path] for path in left if left[path] != before.get(path)}, {})
        self.assertEqual(sorted(set(before) - set(left)), [])

    def use(self):
        """A ten-line zones.conf, and names by the C library."""
        self.debian.write("/tmp/corp.zone", CORP)
        self.debian.write("/tmp/world.zone", WORLD)
        self.start("sim", "r53sim", "--zone", "/tmp/corp.zone", "/tmp/world.zone", "--control", "/tmp/sim.sock", *SIM)
        wait_for(lambda: os.path.exists(self.debian.path("/tmp/sim.sock")), what="the simulator")
        self.assertEqual(ZONES_CONF.count("\n"), 10)
        self.debian.write("/etc/r53fwd/zones.conf", ZONES_CONF)
        fwd = self.start("r53fwd", *self.as_the_unit_does())
        alive = ("r53fwd", "status", "--alive")
        wait_for(lambda: fwd.check_alive() or self.debian.run(*alive, check=False).returncode == 0, what="the daemon")
        self.debian.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        self.assertRegex(self.getent("ahostsv4", "www.corp.example.internal"), r"^10\.20\.1\.10 ")
        self.assertRegex(self.getent("ahostsv4", "www.example.com"), r"^192\.0\.2\.80 ")
        self.assertRegex(self.getent("hosts", "10.20.1.10"), r"www\.corp\.example\.internal")
        self.debian.run("r53sim", "ctl", "--control", "/tmp/sim.sock", "apne2-az1", "silent")
        for _ in range(10):
            self.assertEqual(self.getent("ahostsv4", "no-such-name.corp.example.internal"), "")
            self.assertRegex(self.getent("ahostsv4", "www.corp.example.internal"), r"^10\.20\.1\.10 ")
        self.show_metrics(fwd)
        fwd.signal(signal.SIGTERM)
        self.assertEqual(fwd.wait(), 0, fwd.text())

    def show_metrics(self, fwd):
        """r53fwd-http is there: a line in zones.conf and a reload start it."""
        self.debian.write("/etc/r53fwd/zones.conf", ZONES_CONF + HTTP)
        self.debian.run("r53fwd", "reload")
        get = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9553/metrics', timeout=5).read().decode())"

        def metrics():
            fwd.check_alive()
            with self.network.inside():
                return run(sys.executable, "-c", get, check=False).stdout

        self.assertIn("r53fwd_queries_total", wait_for(metrics, 60, "metrics"))
        self.debian.write("/etc/r53fwd/zones.conf", ZONES_CONF)
        self.debian.run("r53fwd", "reload")

    def test_tarball_runs_where_there_is_nothing_but_a_c_library(self):
        (tarball,) = glob.glob(os.path.join(OUT, "*.tar.xz"))
        for place in ("/opt", "/srv/a place"):
            os.makedirs(self.debian.path(place), exist_ok=True)
            run("tar", "-xJf", tarball, "-C", self.debian.path(place))
            (folder,) = glob.glob(self.debian.path(place) + "/r53fwd-*")
            inside = folder[len(self.debian.root) :]
            self.debian.run(f"{inside}/bin/r53fwd", "check", "--zones", f"{inside}/etc/r53fwd/zones.conf")
            self.debian.run(f"{inside}/bin/r53sim", "--version")
            needed = self.debian.run("ldd", f"{inside}/bin/r53fwd", f"{inside}/bin/r53sim").stdout
            paths = [path for path in re.findall(r"=> (/.*) \(", needed) if "/bin/../lib/" not in path]
            foreign = [path for path in paths if not re.search(r"/lib(?:c|m|pthread|dl|rt)\.so\.", path)]
            self.assertEqual(foreign, [], "not from its own folder")
        binaries = glob.glob(folder + "/bin/*") + glob.glob(folder + "/lib/*.so*")
        versions = re.findall(r"GLIBC_(\d+)\.(\d+)", run("objdump", "-T", *binaries).stdout)
        self.assertLessEqual(max((int(a), int(b)) for a, b in versions), OLDEST_GLIBC)
        with open(os.path.join(folder, "README.md"), encoding="utf-8") as file:
            self.assertIn("glibc %d.%d or later" % OLDEST_GLIBC, file.read())


if __name__ == "__main__":
    reason = obstacle()
    if reason:
        print(f"skipped: {reason}")
        raise SystemExit(SKIPPED)
    unittest.main(verbosity=2)
