# SPDX-License-Identifier: Apache-2.0
"""docs/switch-over.md, there and back: a Debian as it comes, each way with the programs that it is about. The host's network has an office
resolver that knows nothing of private names; what counts is what the C library is told.

    host 10.9.0.2 --- 10.9.0.53 the office's resolver            the endpoint: 127.0.10.1, .2"""

import os
import re
import shutil
import sys
import unittest

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from chroot import Chroot, obstacle, own_mounts, run  # noqa: E402
from lib import R53FWD, R53SIM, Program, Stage, wait_for  # noqa: E402
from netns import SKIPPED, Namespace  # noqa: E402

OFFICE = "10.9.0.53"
PRIVATE, PUBLIC = ("www.corp.example.internal", "10.20.1.10"), ("www.example.com", "192.0.2.80")
SOA = "60 SOA ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 60"
CORP = f"$ORIGIN corp.example.internal.\n@ {SOA}\nwww 60 A {PRIVATE[1]}\n"
WORLD = f"$ORIGIN .\n@ {SOA}\n{PUBLIC[0]}. 60 A {PUBLIC[1]}\n"
ZONES_CONF = """\
listen: [127.0.0.1:53]
inbound-endpoints: {seoul: {addresses: [127.0.10.1, 127.0.10.2]}}
zones: [{name: corp.example.internal, to: seoul}]
"""
LIBRARIES = ["libuv1", "libldns3", "libyaml-0-2", "libjansson4", "libseccomp2"]
PATIENCE_S = 60


def shipped(name):
    with open(os.path.join(SOURCE, "packaging", "switch-over", name), encoding="utf-8") as file:
        return file.read()


class SwitchOver(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.strike)
        self.debian = Chroot()
        self.addCleanup(self.debian.delete)
        self.network = Namespace("switch")
        self.addCleanup(self.network.delete)
        ip = self.network.ip
        ip("link", "add", "eth0", "type", "veth", "peer", "name", "office")
        for device in ("eth0", "office"):
            ip("link", "set", device, "up")
        ip("address", "add", f"{OFFICE}/24", "dev", "office")

    def strike(self):
        self.stage.strike()

    def begin(self, *packages):
        """The host before: with its packages, an endpoint nobody asks, an office resolver."""
        self.debian.install(*LIBRARIES, *packages)
        for program in (R53FWD, R53SIM):
            shutil.copy(program, self.debian.path("/usr/bin/"))
        self.debian.write("/tmp/corp.zone", CORP)
        self.debian.write("/tmp/world.zone", WORLD)
        self.sim("endpoint", "corp", "127.0.10.1,az=az1", "127.0.10.2,az=az2")
        self.sim("office", "world", OFFICE)

    def sim(self, name, zone, *addresses):
        self.start(name, "r53sim", "--zone", f"/tmp/{zone}.zone", "--control", f"/tmp/{name}.sock", "--address", *addresses)
        wait_for(lambda: os.path.exists(self.debian.path(f"/tmp/{name}.sock")), what=name)

    def start(self, name, *argv):
        with self.network.inside():
            return self.stage.add(Program(name, self.stage.folder, self.debian.words(*argv)))

    def run_there(self, *argv, **options):
        with self.network.inside():
            return self.debian.run(*argv, **options)

    def forwarder(self, rest=""):
        self.debian.write("/etc/r53fwd/zones.conf", ZONES_CONF + rest)
        fwd = self.start("r53fwd", "r53fwd")
        wait_for(lambda: fwd.check_alive() or self.run_there("r53fwd", "status", "--alive", check=False).returncode == 0, what="the daemon")
        return fwd

    def resolves(self, name, address):
        return re.match(rf"{re.escape(address)}\s", self.run_there("getent", "ahostsv4", name, check=False).stdout) is not None

    def expect_before(self):
        wait_for(lambda: self.resolves(*PUBLIC), PATIENCE_S, "an answer from the office")
        self.assertFalse(self.resolves(*PRIVATE), "the office knows no private name")

    def expect_after(self):
        wait_for(lambda: self.resolves(*PRIVATE), PATIENCE_S, "a private name")
        wait_for(lambda: self.resolves(*PUBLIC), PATIENCE_S, "a name of the office's")

    def bus(self):
        os.makedirs(self.debian.path("/run/dbus"), exist_ok=True)
        self.start("dbus", "dbus-daemon", "--system", "--nofork", "--nopidfile")
        wait_for(lambda: os.path.exists(self.debian.path("/run/dbus/system_bus_socket")), what="the bus")

    def test_plain_resolv_conf(self):
        self.network.ip("address", "add", "10.9.0.2/24", "dev", "eth0")
        self.begin()
        self.debian.write("/etc/resolv.conf", f"nameserver {OFFICE}\n")
        self.expect_before()
        self.forwarder(f"local-upstreams: [{OFFICE}]\n")
        self.run_there("sh", "-ec", "cp /etc/resolv.conf /etc/resolv.conf.before-r53fwd; echo 'nameserver 127.0.0.1' >/etc/resolv.conf")
        self.expect_after()
        self.run_there("mv", "/etc/resolv.conf.before-r53fwd", "/etc/resolv.conf")
        self.expect_before()
        self.assertEqual(self.debian.read("/etc/resolv.conf"), f"nameserver {OFFICE}\n")

    def test_systemd_resolved(self):
        self.network.ip("address", "add", "10.9.0.2/24", "dev", "eth0")
        self.begin("systemd-resolved")
        self.bus()
        self.run_there("install", "-d", "-o", "systemd-resolve", "-g", "systemd-resolve", "/run/systemd/resolve")
        resolved = self.restart_resolved(None)
        self.expect_before()
        self.assertIn("127.0.0.53", self.debian.read("/etc/resolv.conf"))
        self.forwarder()
        drop_in = "/etc/systemd/resolved.conf.d/r53fwd.conf"
        self.debian.write(drop_in, shipped("systemd-resolved.conf"))
        resolved = self.restart_resolved(resolved)
        self.expect_after()
        # And the daemon's own upstreams are the office's, not itself.
        self.assertIn(f"{OFFICE}:53", self.run_there("r53fwd", "check").stdout)
        os.unlink(self.debian.path(drop_in))
        self.restart_resolved(resolved)
        self.expect_before()

    def restart_resolved(self, running):
        """As systemd would, with the server that the network's manager tells it of."""
        if running:
            running.stop()
            self.stage.programs.remove(running)
        program = self.start("systemd-resolved", "/lib/systemd/systemd-resolved")
        told = lambda: self.run_there("resolvectl", "dns", "eth0", OFFICE, check=False).returncode == 0  # noqa: E731
        wait_for(lambda: program.check_alive() or told(), PATIENCE_S, "systemd-resolved")
        return program

    def test_network_manager(self):
        self.begin("network-manager")
        self.bus()
        with self.network.inside():
            run("mount", "-t", "sysfs", "-o", "ro", "sysfs", self.debian.path("/sys"))
        connection = (
            "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=manual\naddress1=10.9.0.2/24\n"
            f"dns={OFFICE};\n[ipv6]\nmethod=disabled\n"
        )
        self.debian.write("/etc/NetworkManager/system-connections/eth0.nmconnection", connection, 0o600)
        manager = self.start("NetworkManager", "NetworkManager", "--no-daemon")
        # A veth is nobody's until somebody says so.
        managed = lambda: self.run_there("nmcli", "device", "set", "eth0", "managed", "yes", check=False).returncode == 0  # noqa: E731
        wait_for(lambda: manager.check_alive() or managed(), PATIENCE_S, "NetworkManager")
        wait_for(lambda: OFFICE in self.debian.read("/etc/resolv.conf"), PATIENCE_S, "NetworkManager's resolv.conf")
        self.expect_before()
        self.forwarder()
        drop_in = "/etc/NetworkManager/conf.d/r53fwd.conf"
        self.debian.write(drop_in, shipped("NetworkManager.conf"))
        self.run_there("nmcli", "general", "reload")
        self.debian.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        self.expect_after()
        # It comes up anew, and leaves the file alone.
        self.run_there("nmcli", "connection", "up", "eth0")
        self.assertEqual(self.debian.read("/etc/resolv.conf"), "nameserver 127.0.0.1\n")
        self.assertIn(f"{OFFICE}:53", self.run_there("r53fwd", "check").stdout)
        self.expect_after()
        os.unlink(self.debian.path(drop_in))
        self.run_there("nmcli", "general", "reload")
        wait_for(lambda: OFFICE in self.debian.read("/etc/resolv.conf"), PATIENCE_S, "NetworkManager's own resolv.conf")
        self.expect_before()

    def with_resolvconf(self, package):
        self.network.ip("address", "add", "10.9.0.2/24", "dev", "eth0")
        self.begin(package)
        # Of the time before it was installed; an address by DHCP.
        self.run_there("rm", "-f", "/run/resolvconf/interface/original.resolvconf")
        self.run_there("sh", "-ec", f"echo nameserver {OFFICE} | resolvconf -a eth0.dhcp")
        wait_for(lambda: OFFICE in self.debian.read("/etc/resolv.conf"), PATIENCE_S, "resolvconf's file")
        self.expect_before()
        before = self.debian.read("/etc/resolv.conf")
        # The drop-in's own lines, at the moments that systemd runs them.
        started, stopped = (re.search(rf"^{key}=\+(.*)$", shipped("resolvconf.conf"), re.M)[1] for key in ("ExecStartPost", "ExecStopPost"))
        fwd = self.forwarder(f"local-upstreams: [{OFFICE}]\n")
        self.run_there("sh", "-ec", started)
        self.assertEqual(re.findall(r"^nameserver (\S+)", self.debian.read("/etc/resolv.conf"), re.M), ["127.0.0.1"])
        self.expect_after()
        fwd.stop()
        self.stage.programs.remove(fwd)
        self.run_there("sh", "-ec", stopped)
        self.expect_before()
        self.assertEqual(self.debian.read("/etc/resolv.conf"), before)

    def test_resolvconf(self):
        self.with_resolvconf("resolvconf")

    def test_openresolv(self):
        self.with_resolvconf("openresolv")


if __name__ == "__main__":
    reason = obstacle()
    if reason:
        print(f"skipped: {reason}")
        raise SystemExit(SKIPPED)
    own_mounts()
    unittest.main(verbosity=2)
