# SPDX-License-Identifier: Apache-2.0
"""Two hosts with r53fwd and keepalived, by packaging/keepalived/keepalived.conf, and one address between them.

    client 10.9.0.2 --+-- lan --+-- a 10.9.0.11   r53fwd, keepalived
                      |         +-- b 10.9.0.12   r53fwd, keepalived
                      +-- 10.9.0.101, .102, .103: an endpoint in three AZs

Each is a network namespace. Nobody is waited for longer than the address takes to move; how long that was is printed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from lib import (  # noqa: E402
    CORP,
    R53FWD,
    Address,
    Case,
    Forwarder,
    Program,
    Sim,
    addresses,
    ask,
    endpoint_conf,
    main,
    wait_for,
    zones_conf,
)
from netns import SKIPPED, Lan, obstacle_to_lan  # noqa: E402

WWW = ["10.20.1.1", "10.20.1.2"]
SHARED = Address("10.9.0.53", 53, None)
HOSTS = {"a": "10.9.0.11", "b": "10.9.0.12"}

# A busy machine is given time; keepalived's own times are some 4 s.
MOVED_S = 60


def keepalived():
    return shutil.which("keepalived", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class TwoHosts(Case):
    def setUp(self):
        super().setUp()
        self.lan = Lan()
        self.addCleanup(self.lan.delete)
        self.client = self.lan.plug("client", "10.9.0.2")
        aws = self.lan.plug("aws", "10.9.0.101", "10.9.0.102", "10.9.0.103")
        with aws.inside():
            at = [Address(f"10.9.0.{101 + i}", 53, f"az{i + 1}") for i in range(3)]
            self.sim = self.stage.add(Sim(self.stage.folder, [CORP], at=at))
        self.fwds, self.keepers, self.hosts = {}, {}, {}
        for name, ip in HOSTS.items():
            self.host(name, ip)

    def host(self, name, ip):
        space = self.hosts[name] = self.lan.plug(name, ip)
        folder = os.path.join(self.stage.folder, name)
        os.mkdir(folder)
        conf = zones_conf([endpoint_conf(self.sim)], ["{name: corp.test, to: seoul}"], rest="workers: 1\n")
        with space.inside():
            # The shared address is not there yet: all addresses are listened at.
            fwd = Forwarder(folder, conf, name=f"fwd-{name}", at=Address("0.0.0.0", 53, None), ready=False)
            self.fwds[name] = self.stage.add(fwd)
            wait_for(lambda: fwd.check_alive() or os.path.exists(fwd.control), what=f"{name}'s forwarder")
        self.keep(name, ip, fwd.control, folder)

    def keep(self, name, ip, control, folder):
        """keepalived as it is shipped; other are the paths, the user of the script, and what is marked in the file."""
        with open(os.path.join(SOURCE, "packaging", "keepalived", "keepalived.conf"), encoding="utf-8") as file:
            text = file.read()
        changes = {
            r"script_user .*": "script_user root",
            r'script "/usr/bin/r53fwd status --alive"': f'script "{R53FWD} status --alive --control {control}"',
        }
        if name == "b":
            changes |= {r"priority 100": "priority 90", r"10\.9\.0\.11": "MINE", r"10\.9\.0\.12": HOSTS["a"], "MINE": HOSTS["b"]}
        for pattern, new in changes.items():
            text, count = re.subn(pattern, new, text)
            self.assertGreater(count, 0, pattern)
        conf = os.path.join(folder, "keepalived.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)
        words = ["--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file", conf]
        words += ["--pid", os.path.join(folder, "keepalived.pid"), "--vrrp_pid", os.path.join(folder, "vrrp.pid")]
        with self.hosts[name].inside():
            words_of_test = [keepalived(), "--config-test", "--use-file", conf]
            tested = subprocess.run(words_of_test, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
            self.keepers[name] = self.stage.add(Program(f"keepalived-{name}", self.stage.folder, [keepalived(), *words]))

    def owners(self):
        return [name for name, space in self.hosts.items() if SHARED.ip in space.ip("-4", "addr", "show", "dev", "eth0")]

    def answer(self, timeout=0.5):
        with self.client.inside(), contextlib.suppress(Exception):
            return addresses(ask(SHARED, "www.corp.test", timeout=timeout))
        return None

    def serving(self):
        """The only host that has the address, if it answers there; else None."""
        owners = self.owners()
        return owners[0] if len(owners) == 1 and self.answer() == WWW else None

    def await_move(self, what):
        """From the host that has the address to the other one; returns (from, to). `what` happens to the first."""
        owner = wait_for(self.serving, MOVED_S, "an owner")
        other = "b" if owner == "a" else "a"
        self.await_fit(other)
        what(owner)
        begun = time.monotonic()
        wait_for(lambda: other in self.owners() and self.answer() == WWW, MOVED_S, f"the move to {other}")
        print(f"{what.__name__}: {time.monotonic() - begun:.1f} s", flush=True)
        return owner, other

    def test_the_address_follows_what_serves(self):
        owner = wait_for(self.serving, MOVED_S, "an owner")
        # The endpoint's end moves nothing, and known names are still answered.
        self.sim.ctl("all", "silent")
        for host in HOSTS:
            wait_for(lambda h=host: self.is_down(h), MOVED_S, "the end of the endpoint")
        self.assertEqual(self.owners(), [owner])
        wait_for(lambda: self.answer() == WWW, MOVED_S, "an answer")
        self.sim.ctl("all", "heal")

        def forwarder_hangs(name):
            self.fwds[name].signal(signal.SIGSTOP)

        def host_loses_its_network(name):
            self.lan.cable(name, "down")

        def forwarder_ends(name):
            self.assertEqual(self.fwds[name].stop(), 0)

        before, _ = self.await_move(forwarder_hangs)
        self.fwds[before].signal(signal.SIGCONT)
        before, _ = self.await_move(host_loses_its_network)
        self.lan.cable(before, "up")
        self.await_move(forwarder_ends)

    def is_down(self, name):
        """Whether a host's endpoint is. A new name is asked for: an idle daemon would look once in 5 minutes."""
        with self.hosts[name].inside(), contextlib.suppress(Exception):
            ask(Address(HOSTS[name], 53, None), f"n{time.monotonic_ns()}.corp.test", timeout=0.5)
        return {e["name"]: e["state"] for e in self.fwds[name].status(expect=None)["endpoints"]}["seoul"] == "down"

    def await_fit(self, name):
        """Until keepalived takes a host for fit to have the address again."""

        def is_fit():
            said = self.keepers[name].text()
            return said.rfind("succeeded") > said.rfind("failed")

        wait_for(is_fit, MOVED_S, f"{name}'s recovery")


if __name__ == "__main__":
    reason = obstacle_to_lan() or (None if keepalived() else "keepalived is not installed")
    if reason:
        print(f"skipped: {reason}")
        raise SystemExit(SKIPPED)
    main()
