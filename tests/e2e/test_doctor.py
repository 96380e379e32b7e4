# SPDX-License-Identifier: Apache-2.0
"""`r53fwd doctor` against simulators that fail on command, beside a running daemon, and over paths that lose what real ones lose."""

import contextlib
import json
import os
import pty
import socket
import subprocess
import unittest

from lib import CORP, LOOPBACK, PATIENCE_S, R53FWD, SOA, Address, Case, Nsd, ask, endpoint_conf, main, wait_for, zones_conf
from test_namespaces import ZONE, Network, Path, obstacle

# The contract's bound with room for a busy machine; silence costs doctor less than 8 s.
DOCTOR_S = 10
CORP_ROUTE = "{name: corp.test, to: seoul}"
PUBLIC = """
$ORIGIN lost.test.
$TTL 60
@ SOA ns1.example.net. hostmaster.example.net. 1 7200 900 1209600 300
@ NS ns1.example.net.
@ NS \\027[31mevil.example.net.
"""


class Doctor(Case):
    def setUp(self):
        super().setUp()
        self.listen = f"{LOOPBACK.ip()}"
        self.listen += f":{LOOPBACK.port(self.listen)}"
        self.resolv = os.path.join(self.stage.folder, "resolv.conf")
        self.write_resolv()

    def write_resolv(self, *servers):
        """What programs on this host read; no server: they ask 127.0.0.1."""
        with open(self.resolv, "w", encoding="ascii") as file:
            file.write("".join(f"nameserver {server}\n" for server in servers))

    def write(self, text, name="doctor.conf"):
        path = os.path.join(self.stage.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def conf(self, endpoints, zones=(CORP_ROUTE,), world=None):
        """zones.conf of an r53fwd that does not run."""
        control = os.path.join(self.stage.folder, "nobody.sock")
        return self.write(zones_conf(endpoints, zones, world, f"listen: ['{self.listen}']\ncontrol: {control}\n"))

    def run_doctor(self, path, *options, expect=None, env=None):
        with self.within(DOCTOR_S + PATIENCE_S):
            run = subprocess.run(
                [R53FWD, "doctor", "--zones", path, *options],
                capture_output=True,
                text=True,
                timeout=2 * DOCTOR_S + PATIENCE_S,
                check=False,
                env={**os.environ, "R53FWD_RESOLV_CONF": self.resolv, **(env or {})},
            )
        self.assertNotIn("Sanitizer", run.stderr)
        if expect is not None:
            self.assertEqual(run.returncode, expect, run.stdout + run.stderr)
        return run

    def doctor(self, path, *options):
        """What it prints as JSON, read; the exit status has to fit."""
        run = self.run_doctor(path, "--json", *options)
        report = json.loads(run.stdout)
        self.assertEqual(run.returncode, 0 if report["healthy"] else 1)
        self.assertEqual(report["healthy"], all(f["severity"] != "problem" for f in report["findings"]))
        self.assertLess(report["seconds"], DOCTOR_S)
        for finding in report["findings"]:
            for key in ("seen", "means", "do"):
                self.assertRegex(finding[key], r"[.?]$")
        return report

    @staticmethod
    def ids(report):
        return sorted(f["id"] for f in report["findings"])

    def found(self, report, kind):
        for finding in report["findings"]:
            if finding["id"] == kind:
                return finding
        self.fail(f"{kind} is not among {self.ids(report)}")


class Addresses(Doctor):
    def set_scene(self, **options):
        self.seoul = self.sim(**options)
        self.local = self.world()
        return self.conf([endpoint_conf(self.seoul)], world=self.local)

    def test_healthy_endpoint_is_healthy_and_cheap(self):
        path = self.set_scene()
        report = self.doctor(path)
        self.assertEqual(self.ids(report), [])
        self.assertTrue(report["healthy"])
        asked = len(self.seoul.queries())
        self.assertEqual(report["billed_questions"], asked)
        self.assertEqual(report["questions"], asked + len(self.local.queries()))
        self.assertLess(asked, 15 * len(self.seoul.addresses))
        for address in report["endpoints"][0]["addresses"]:
            self.assertEqual((address["udp"], address["tcp"]), ("answers", "answers"))
            self.assertGreaterEqual(address["rtt_ms"]["samples"], 5)
            self.assertLessEqual(address["rtt_ms"]["min"], address["rtt_ms"]["p95"])
            self.assertEqual(set(address["datagrams"].values()), {"answers"})

    def test_text_is_for_people(self):
        path = self.set_scene()
        self.seoul.ctl("az2", "closed")
        run = self.run_doctor(path, expect=1)
        self.assertRegex(run.stdout, r"seoul  \(inbound endpoint, 1 zone\)\n  az1\n    127\.\S+ +UDP answers +TCP answers +RTT ")
        self.assertRegex(run.stdout, r"  PROBLEM  nobody listens at the address  \[address-closed\]\n    seen   127\.")
        self.assertRegex(run.stdout, r"1 problem, 0 warnings, 0 notes. \d+ questions asked in \d+\.\d s, \d+ of them to inbound endpoints")
        self.assertNotIn("\033", run.stdout)
        self.assertLessEqual(max(len(line) for line in run.stdout.split("\n")), 120)

    FAULTS = {
        "silent": {"address-silent"},
        "closed": {"address-closed"},
        "rcode SERVFAIL": {"rcode"},
        "rcode REFUSED": {"rcode"},
        "truncate": {"cut"},
        "garbage": {"malformed"},
        "wrong-id": {"misfit"},
        "wrong-question": {"misfit"},
        "tcp-cut": {"tcp-cut"},
        "no-edns": {"no-edns"},
        "lower-case": {"wrong-case"},
        "delay 200ms": {"slow"},
    }

    def test_each_fault_is_named_at_its_address(self):
        path = self.set_scene()
        for fault, ids in self.FAULTS.items():
            with self.subTest(fault=fault):
                self.seoul.ctl("all", "heal")
                self.seoul.ctl("az2", fault)
                report = self.doctor(path)
                # A machine that is busy for 2 s on end may make others slow, or lose what they were asked.
                found = [f for f in report["findings"] if f.get("az") == "az2" or f["id"] not in ("slow", "loss")]
                self.assertEqual({f["id"] for f in found}, ids, report["findings"])
                self.assertEqual({(f["endpoint"], f["az"]) for f in found}, {("seoul", "az2")})

    def test_everything_silent_is_the_path_and_takes_no_longer(self):
        path = self.set_scene()
        self.seoul.ctl("all", "silent")
        report = self.doctor(path)
        self.assertEqual(self.ids(report), ["path-silent"])
        self.assertLess(len(self.seoul.queries()), 10 * len(self.seoul.addresses))

    def test_loss_is_a_warning(self):
        path = self.set_scene()
        self.seoul.ctl("az1", "loss 40%")
        # 40 %: of ten questions none is lost once in 165 runs.
        wait_for(lambda: "loss" in self.ids(self.doctor(path)), patience_s=60, what="a lost question")

    def test_one_address_and_one_az(self):
        sim = self.sim(count=2)
        one = f"  one: {{addresses: ['{sim.addresses[0].ip}:{sim.addresses[0].port}']}}\n"
        same = ", ".join(f"{{ip: '{a.ip}:{a.port}', az: az7}}" for a in sim.addresses)
        zones = ["{name: corp.test, to: one}", "{name: hasty.test, to: same}"]
        report = self.doctor(self.conf([one, f"  same: {{addresses: [{same}]}}\n"], zones, self.world()))
        self.assertEqual(self.ids(report), ["duplicate", "one-address", "one-az"])
        self.assertIn("one and in same", self.found(report, "duplicate")["seen"])
        self.assertIn("az7", self.found(report, "one-az")["seen"])

    def test_ttls_that_differ_are_a_note(self):
        """Two addresses whose caches have counted down differently."""
        sims = [self.sim(zones=[CORP.replace("$TTL 60", f"$TTL {ttl}")], count=1, name=f"ttl{ttl}") for ttl in (60, 12)]
        listed = ", ".join(f"{{ip: '{s.addresses[0].ip}:{s.addresses[0].port}', az: {s.name}}}" for s in sims)
        report = self.doctor(self.conf([f"  seoul: {{addresses: [{listed}]}}\n"], world=self.world()))
        self.assertEqual(self.ids(report), ["ttl-skew"])
        self.assertIn("12 to 60", self.found(report, "ttl-skew")["seen"])
        self.assertTrue(report["healthy"])


class Zones(Doctor):
    def report(self, zones, routes, *options):
        sim = self.sim(zones=zones, options=options)
        return self.doctor(self.conf([endpoint_conf(sim)], routes, self.world()))

    def test_zone_that_is_not_private_is_detached_and_names_are_escaped(self):
        report = self.report([CORP, PUBLIC], [CORP_ROUTE, "{name: lost.test, to: seoul}"])
        self.assertEqual(self.ids(report), ["zone-detached"])
        finding = self.found(report, "zone-detached")
        self.assertEqual((finding["endpoint"], finding["zone"]), ("seoul", "lost.test"))
        self.assertNotIn("\033", json.dumps(finding) + finding["seen"])
        self.assertRegex(finding["seen"], r"ns1\.example\.net|\\027")
        self.assertIn("associate-vpc-with-hosted-zone", finding["do"])

    def test_association_off_is_obeyed(self):
        report = self.report([CORP, PUBLIC], [CORP_ROUTE, "{name: lost.test, to: seoul, association: off}"])
        self.assertEqual(self.ids(report), [])

    def test_zone_that_does_not_exist(self):
        report = self.report([CORP], [CORP_ROUTE, "{name: gone.test, to: seoul}"], "--outside", "NXDOMAIN")
        self.assertEqual(self.ids(report), ["zone-nxdomain"])
        self.assertEqual(self.found(report, "zone-nxdomain")["zone"], "gone.test")

    def test_zone_that_fails(self):
        report = self.report([CORP], [CORP_ROUTE, "{name: ill.test, to: seoul}"], "--outside", "SERVFAIL")
        self.assertEqual(self.ids(report), ["zone-servfail"])

    def test_empty_reverse_zone_is_a_note(self):
        report = self.report([CORP], [CORP_ROUTE, "{reverse: 10.20.0.0/16, to: seoul}"], "--outside", "NXDOMAIN")
        self.assertEqual(self.ids(report), ["zone-reverse"])
        self.assertTrue(report["healthy"])

    SERVICE = "{vpc-endpoints: {region: ap-northeast-2, services: [ssm]}, to: seoul}"

    def service_zone(self, record, server="ns-0.awsdns-00.com."):
        return f"$ORIGIN ssm.ap-northeast-2.amazonaws.com.\n$TTL 60\n@ SOA {SOA} 300\n@ NS {server}\n{record}\n"

    def test_vpc_endpoint_with_private_addresses_is_well(self):
        self.assertEqual(self.ids(self.report([self.service_zone("@ A 10.20.1.7")], [self.SERVICE])), [])

    def test_vpc_endpoint_with_a_public_address(self):
        report = self.report([self.service_zone("@ A 52.95.1.1")], [self.SERVICE])
        self.assertEqual(self.ids(report), ["vpce-public"])
        self.assertIn("52.95.1.1", self.found(report, "vpce-public")["seen"])

    def test_vpc_endpoint_without_an_address(self):
        self.assertEqual(self.ids(self.report([self.service_zone("www A 10.20.1.7")], [self.SERVICE])), ["vpce-empty"])

    def test_service_zone_that_aws_keeps_is_a_note(self):
        report = self.report([self.service_zone("@ A 10.20.1.7", "ns1.amzndns.com.")], [self.SERVICE])
        self.assertEqual(self.ids(report), ["zone-service"])

    def test_many_zones_take_no_longer(self):
        names = [f"z{i}.test" for i in range(1200)]
        text = "".join(f"{name}. 60 SOA {SOA} 300\n{name}. 60 NS ns-0.awsdns-00.com.\n" for name in names)
        report = self.report([text], [f"{{name: {name}, to: seoul}}" for name in names])
        self.assertEqual(self.ids(report), ["zones-left-out"])
        self.assertIn(" of 1200 zones", self.found(report, "zones-left-out")["seen"])


class Host(Doctor):
    def test_running_daemon_is_not_disturbed(self):
        fwd, sim, _ = self.serve()
        report = self.doctor(fwd.conf)
        self.assertEqual(self.ids(report), ["daemon"])
        self.assertIn("r53fwd ", self.found(report, "daemon")["seen"])
        self.expect(ask(fwd, "www.corp.test"), ips=["10.20.1.1", "10.20.1.2"])
        sim.ctl("az1", "closed")
        self.assertEqual(self.ids(self.doctor(fwd.conf)), ["address-closed", "daemon"])

    def test_daemon_with_another_control_socket_is_recognised(self):
        fwd, _, _ = self.serve()
        report = self.doctor(fwd.conf, "--control", os.path.join(self.stage.folder, "nobody.sock"))
        self.assertEqual(self.ids(report), ["daemon"])
        self.assertIn("its control socket is elsewhere", self.found(report, "daemon")["seen"])

    def test_loop_is_found_without_a_daemon(self):
        """A local upstream that forwards to where we would listen."""
        sim = self.sim()
        back = zones_conf([endpoint_conf(sim)], [CORP_ROUTE]).replace("127.0.0.1:1", self.listen)
        second = self.forwarder(back, name="second")
        there = zones_conf([endpoint_conf(sim)], [CORP_ROUTE]).replace("127.0.0.1:1", f"{second.ip}:{second.port}")
        control = os.path.join(self.stage.folder, "nobody.sock")
        report = self.doctor(self.write(there + f"listen: ['{self.listen}']\ncontrol: {control}\n"))
        finding = self.found(report, "loop")
        self.assertEqual((finding["endpoint"], finding["severity"]), ("local", "problem"))

    def healthy(self):
        return self.conf([endpoint_conf(self.sim())], world=self.world())

    def test_taken_port_is_a_problem(self):
        path = self.healthy()
        ip, port = self.listen.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((ip, int(port)))
            report = self.doctor(path)
        self.assertEqual(self.ids(report), ["loop-unknown", "port-taken"])
        self.assertIn(self.listen, self.found(report, "port-taken")["seen"])

    def test_listen_on_the_command_line_counts(self):
        report = self.doctor(self.healthy(), "--listen", "192.0.2.1:5300")
        self.assertEqual(self.ids(report), ["listen-unavailable", "loop-unknown"])

    def test_local_upstream_that_is_silent_or_fails(self):
        sim, world = self.sim(), self.world()
        path = self.conf([endpoint_conf(sim)], world=world)
        faults = {
            "silent": "resolver-silent",
            "closed": "resolver-silent",
            "rcode REFUSED": "resolver-refused",
            "rcode SERVFAIL": "resolver-rcode",
        }
        for fault, kind in faults.items():
            with self.subTest(fault=fault):
                world.ctl("all", "heal")
                world.ctl("all", fault)
                report = self.doctor(path)
                self.assertEqual(self.ids(report), [kind])
                self.assertEqual(self.found(report, kind)["endpoint"], "local")
                self.assertNotIn("aws ", self.found(report, kind)["do"])

    def test_local_upstreams_come_from_resolv_conf(self):
        sim = self.sim()
        control = os.path.join(self.stage.folder, "nobody.sock")
        text = f"listen: ['{self.listen}']\ncontrol: {control}\ninbound-endpoints:\n{endpoint_conf(sim)}zones: [{CORP_ROUTE}]\n"
        report = self.doctor(self.write(text))
        self.assertEqual(self.ids(report), ["local-none"])

    def test_resolv_conf_that_points_elsewhere(self):
        path = self.healthy()
        self.write_resolv("192.0.2.53")
        self.assertEqual(self.ids(self.doctor(path)), ["resolv-port"])
        at_53 = self.doctor(path, "--listen", self.listen.rsplit(":", 1)[0])
        self.assertIn("resolv-elsewhere", self.ids(at_53))
        self.write_resolv("127.0.0.53")
        self.assertEqual(self.ids(self.doctor(path)), ["resolv-stub"])


class CommandLine(Doctor):
    def test_file_with_errors_is_told_with_their_places(self):
        run = self.run_doctor(self.write("zones:\n  - {nome: x.test, to: local}\n"), expect=1)
        self.assertRegex(run.stderr, r"doctor\.conf:2:\d+: .*nome")
        self.assertEqual(run.stdout, "")

    def test_wrong_command_line_is_2(self):
        path = self.write("zones: []\n")
        for words in (["--watch"], ["operand"], ["--nonsense"]):
            self.run_doctor(path, *words, expect=2)

    def test_colour_is_for_terminals_and_no_color_is_honoured(self):
        sim = self.sim()
        sim.ctl("az1", "closed")
        path = self.conf([endpoint_conf(sim)], world=self.world())
        self.assertIn("\033[31mPROBLEM\033[0m", self.on_a_terminal(path))
        self.assertNotIn("\033", self.on_a_terminal(path, NO_COLOR="1"))

    def on_a_terminal(self, path, **env):
        leader, follower = pty.openpty()
        text = b""
        child = subprocess.Popen(
            [R53FWD, "doctor", "--zones", path],
            stdin=subprocess.DEVNULL,
            stdout=follower,
            stderr=subprocess.DEVNULL,
            env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "R53FWD_RESOLV_CONF": self.resolv, **env},
        )
        os.close(follower)
        # At the end of the other side Linux says EIO.
        with contextlib.suppress(OSError):
            while True:
                piece = os.read(leader, 65536)
                if not piece:
                    break
                text += piece
        os.close(leader)
        self.assertEqual(child.wait(PATIENCE_S), 1)
        return text.decode()


REASON = obstacle()


@unittest.skipIf(REASON, REASON)
class Paths(Doctor, Path):
    """Real paths: NSD in three AZs behind a router that filters. NSD is no resolver, which doctor notes of each."""

    def setUp(self):
        super().setUp()  # Doctor's, then Path's, which makes the network
        self.addresses = []
        for i, az in enumerate(self.network.azs):
            with az.inside():
                at = Address(self.ips[i], 53, f"az{i + 1}")
                self.stage.add(Nsd(self.stage.folder, {"corp.test": ZONE}, name=f"nsd{i + 1}", at=at, server_lines=self.NSD))
                self.addresses.append(at)
        stay = contextlib.ExitStack()
        stay.enter_context(self.network.prem.inside())
        self.addCleanup(stay.close)
        self.path = self.write(
            f"listen: ['127.0.0.1:53']\ncontrol: {self.stage.folder}/nobody.sock\ninbound-endpoints:\n{endpoint_conf(self)}"
            f"zones: [{CORP_ROUTE}, {{name: '.', to: seoul, association: off}}]\n"
        )

    def examine(self, *rules):
        self.network.filter(*rules)
        report = self.doctor(self.path)
        return {(f["id"], f.get("az")) for f in report["findings"] if f["id"] not in ("no-recursion", "zone-servfail", "slow")}

    def test_whole_path_is_well(self):
        self.assertEqual(self.examine(), set())

    def test_udp_that_is_dropped_towards_one_az(self):
        self.assertEqual(self.examine(f"ip daddr {self.ips[1]} udp dport 53 drop"), {("udp-blocked", "az2")})

    def test_tcp_that_is_dropped_towards_one_az(self):
        self.assertEqual(self.examine(f"ip daddr {self.ips[1]} tcp dport 53 drop"), {("tcp-silent", "az2")})

    def test_tcp_that_is_rejected(self):
        rule = f"ip daddr {self.ips[2]} tcp dport 53 reject with tcp reset"
        self.assertEqual(self.examine(rule), {("tcp-closed", "az3")})

    def test_az_that_a_router_says_is_unreachable(self):
        rule = f"ip daddr {self.ips[0]} reject with icmp type host-unreachable"
        self.assertEqual(self.examine(rule), {("address-unreachable", "az1")})

    def test_path_that_is_cut(self):
        self.assertEqual(self.examine("drop"), {("path-silent", None)})

    def test_fragments_that_are_dropped(self):
        found = self.examine("ip frag-off & 0x3fff != 0 drop")
        self.assertEqual(found, {("size-4096", f"az{i + 1}") for i in range(Network.AZS)})

    def test_tunnel_that_is_too_narrow_for_1400(self):
        self.network.prem.ip("link", "set", "dx", "mtu", "1400")
        self.network.router.ip("link", "set", "prem", "mtu", "1400")
        found = self.examine("ip frag-off & 0x3fff != 0 drop")
        self.assertEqual(found, {("size-1400", f"az{i + 1}") for i in range(Network.AZS)})

    def test_path_that_loses_large_packets(self):
        """A black hole below 1232: UDP and TCP suffer."""
        found = self.examine("ip length > 1000 drop")
        expected = {(kind, f"az{i + 1}") for i in range(Network.AZS) for kind in ("size-1232", "tcp-large-lost")}
        self.assertEqual(found, expected)


if __name__ == "__main__":
    if REASON:
        print(f"paths are left out: {REASON}")
    main()
