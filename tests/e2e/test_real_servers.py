# SPDX-License-Identifier: Apache-2.0
"""Between servers that we did not write: NSD at the addresses of the endpoint, Unbound as the local upstream; and clients that we did
not write either."""

import os
import shutil
import signal
import subprocess

from lib import CORP, Case, Nsd, Unbound, ask, main, wait_for

LOCAL = "  log-queries: yes\n  verbosity: 1\n  local-data: 'www.example. A 192.0.2.80'\n  local-data: 'www.corp.test. A 192.0.2.83'"


def signal_all(nsd, number):
    """NSD's parent does not serve: its children, and theirs, do."""
    pids = [nsd.child.pid]
    for pid in pids:
        os.kill(pid, number)
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())


class RealServers(Case):
    def setUp(self):
        super().setUp()
        self.az = [self.stage.add(Nsd(self.stage.folder, {"corp.test": CORP}, name=f"nsd{i}")) for i in range(3)]
        self.unbound = self.stage.add(Unbound(self.stage.folder, LOCAL))
        listed = ", ".join(f"{{ip: {n.ip}, port: {n.port}, az: az{i}}}" for i, n in enumerate(self.az))
        self.fwd = self.forwarder(
            f"inbound-endpoints:\n  seoul: {{addresses: [{listed}]}}\nzones: [{{name: corp.test, to: seoul}}]\n"
            f"local-upstreams: ['{self.unbound.ip}:{self.unbound.port}']\n"
        )

    def test_private_names_come_from_nsd_and_others_from_unbound(self):
        self.expect(ask(self.fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        self.expect(ask(self.fwd, "www.example"), ips=["192.0.2.80"])
        self.expect(ask(self.fwd, "nothing.corp.test"), "NXDOMAIN")
        self.expect(ask(self.fwd, "www.corp.test", "AAAA"), ips=[])
        self.assertNotIn("corp.test", self.unbound.text())

    def test_large_answer_comes_whole_over_tcp(self):
        self.expect(ask(self.fwd, "big.corp.test", "TXT"), tc=True)
        whole = self.expect(ask(self.fwd, "big.corp.test", "TXT", tcp=True))
        self.assertEqual(len(whole.answer[0]), 24)

    def test_chain_that_leaves_the_zone_is_passed_on_whole(self):
        response = self.expect(ask(self.fwd, "away.corp.test"))
        self.assertIn("elsewhere.example.", response.answer[0].to_text())
        self.assertNotIn("elsewhere", self.unbound.text())

    def test_stopped_server_is_not_noticed_and_private_names_stay_private(self):
        signal_all(self.az[0], signal.SIGSTOP)
        try:
            for i in range(20):
                self.expect(ask(self.fwd, f"n{i}.wild.corp.test"), ips=["10.20.1.6"])
        finally:
            signal_all(self.az[0], signal.SIGCONT)
        self.assertNotIn("corp.test", self.unbound.text())

    def test_private_names_stay_private_with_all_addresses_silent_and_gone(self):
        self.expect(ask(self.fwd, "www.corp.test"))
        for nsd in self.az:
            signal_all(nsd, signal.SIGSTOP)
        try:
            self.expect(ask(self.fwd, "new.wild.corp.test"), "SERVFAIL")
        finally:
            for nsd in self.az:
                signal_all(nsd, signal.SIGCONT)
        wait_for(lambda: ask(self.fwd, "again.wild.corp.test").rcode() == 0, what="recovery")
        for nsd in self.az:
            nsd.stop()
        self.expect(ask(self.fwd, "gone.wild.corp.test"), "SERVFAIL")
        self.assertNotIn("corp.test", self.unbound.text())

    def client(self, *argv):
        program = shutil.which(argv[0])
        if not program:
            self.skipTest(f"{argv[0]} is not installed")
        return subprocess.run([program, *argv[1:]], capture_output=True, text=True, timeout=30, check=True).stdout

    def test_dig_sees_the_answer(self):
        out = self.client("dig", f"@{self.fwd.ip}", "-p", str(self.fwd.port), "www.corp.test", "+short")
        self.assertEqual(sorted(out.split()), ["10.20.1.1", "10.20.1.2"])

    def test_kdig_sees_the_answer(self):
        out = self.client("kdig", f"@{self.fwd.ip}", "-p", str(self.fwd.port), "www.corp.test", "+short")
        self.assertEqual(sorted(out.split()), ["10.20.1.1", "10.20.1.2"])

    def test_drill_sees_the_answer(self):
        out = self.client("drill", "-p", str(self.fwd.port), f"@{self.fwd.ip}", "www.corp.test")
        self.assertIn("10.20.1.1", out)


if __name__ == "__main__":
    main()
