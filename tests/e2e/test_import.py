# SPDX-License-Identifier: Apache-2.0
"""`r53fwd import`: what AWS's command line prints (tests/aws) → zones.conf → check → served against a simulated endpoint → answers."""

import itertools
import json
import os
import subprocess

from lib import LOOPBACK, PATIENCE_S, R53FWD, SOA, Address, Case, Sim, ask, main

AWS = os.path.join(os.environ["R53FWD_SOURCE"], "tests", "aws")
SAMPLES = sorted(name for name in os.listdir(AWS) if name.endswith(".json"))

# What the endpoint knows: the zones of the samples, with private addresses.
ZONES = {
    "pay.example.internal": "10.64.9.1",
    "batch.example.internal": "10.64.9.2",
    "secretsmanager.ap-northeast-1.amazonaws.com": "10.64.9.3",
    "ssm.ap-northeast-1.amazonaws.com": "10.64.9.4",
    "s3.ap-northeast-1.amazonaws.com": "10.64.9.5",
    "s3-control.ap-northeast-1.amazonaws.com": "10.64.9.6",
    "api.partner.example.com": "10.64.9.7",
}


def zone_text(apex, ip):
    return f"$ORIGIN {apex}.\n$TTL 60\n@ SOA {SOA} 60\n@ NS ns-0.awsdns-00.com.\n@ A {ip}\n* A {ip}\n"


def sample(name):
    with open(os.path.join(AWS, name), encoding="utf-8") as file:
        return file.read()


class Import(Case):
    def run_import(self, *words, expect=0, feed=None):
        run = subprocess.run(
            [R53FWD, "import", *words], input=feed, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self.stage.folder
        )
        self.assertEqual(run.returncode, expect, run.stdout + run.stderr)
        self.assertNotIn("Sanitizer", run.stderr)
        return run.stdout, run.stderr

    def write(self, name, text):
        path = os.path.join(self.stage.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def check(self, conf):
        path = self.write("check.conf", conf)
        run = subprocess.run([R53FWD, "check", "--zones", path], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, 0, conf + run.stderr)
        return run.stdout, run.stderr

    def test_every_order_gives_the_same_meaning(self):
        """Files together, in any order, alone on standard input or as one list: the routes that `check` prints are the same."""
        paths = [os.path.join(AWS, name) for name in SAMPLES]
        orders = [paths, paths[::-1], *itertools.islice(itertools.permutations(paths), 500, 5000, 1100)]
        meanings = {self.routes(self.run_import(*order)[0]) for order in orders}
        texts = [sample(name) for name in SAMPLES]
        meanings.add(self.routes(self.run_import("-", feed="\n".join(texts))[0]))
        meanings.add(self.routes(self.run_import(feed=f"[{','.join(texts)}]")[0]))
        self.assertEqual(len(meanings), 1, meanings)

    def routes(self, conf):
        """What the file means, without the numbers of its lines."""
        printed, _ = self.check(conf)
        routes = [line.split("  line ")[0].rstrip() for line in printed.split("\nExpanded:")[0].splitlines()]
        return "\n".join(sorted(routes) + sorted(line for line in printed.splitlines() if "apne1-az" in line))

    def test_every_sample_alone_is_taken(self):
        for name in SAMPLES:
            with self.subTest(name):
                run = subprocess.run([R53FWD, "import", os.path.join(AWS, name)], capture_output=True, text=True, check=False)
                self.assertNotIn("this is no JSON", run.stderr)
                if run.returncode == 0:
                    self.check(run.stdout)
                else:
                    self.assertEqual(run.stdout, "")
                    self.assertIn("nothing was imported", run.stderr)

    def test_what_was_not_used_is_said(self):
        _, said = self.run_import(*(os.path.join(AWS, name) for name in SAMPLES))
        for word in (
            "rslvr-out-77aa77aa77aa77aa7 is no INBOUND endpoint",
            "10.64.3.54 is DELETING",
            "example.org. is a public zone",
            "vpce-05550666077708880 is a Gateway endpoint",
            "vpce-09990888077706660 (com.amazonaws.ap-northeast-1.kms) is pendingAcceptance",
        ):
            self.assertIn(word, said)

    def serve_imported(self, count=3):
        """The samples with the simulator's addresses in the place of AWS's; returns (forwarder, simulator, zones.conf as imported)."""
        ips = [LOOPBACK.ip() for _ in range(count)]
        port = LOOPBACK.port(ips[0])
        sim = Sim(
            self.stage.folder,
            [zone_text(*zone) for zone in ZONES.items()],
            at=[Address(ip, port, az) for ip, az in zip(ips, ("apne1-az4", "apne1-az1", "apne1-az2"))],
        )
        self.stage.add(sim)
        addresses = json.loads(sample("list-resolver-endpoint-ip-addresses.json"))
        for row, ip in zip(addresses["IpAddresses"], ips):
            row["Ip"] = ip
        others = [os.path.join(AWS, name) for name in SAMPLES if name != "list-resolver-endpoint-ip-addresses.json"]
        world = self.world()
        conf, _ = self.run_import(self.write("addresses.json", json.dumps(addresses)), *others)
        self.check(conf)
        served = conf.replace("    addresses:\n", f"    port: {port}\n    addresses:\n")
        self.assertNotEqual(served, conf)
        served += f"local-upstreams: ['{world.addresses[0].ip}:{world.addresses[0].port}']\n"
        return self.forwarder(served), sim, conf

    def test_round_trip(self):
        fwd, sim, conf = self.serve_imported()
        for apex, ip in ZONES.items():
            self.expect(ask(fwd, apex), ips=[ip])
            self.expect(ask(fwd, f"below.{apex}"), ips=[ip])
            self.assertGreaterEqual(sim.count(f"below.{apex}", "A"), 1)
        self.expect(ask(fwd, "www.example"), ips=["192.0.2.80"])
        endpoint = next(e for e in fwd.status()["endpoints"] if e["name"] != "local")
        self.assertEqual(endpoint["name"], "shared-services-inbound")
        self.assertEqual([a["az"] for a in endpoint["addresses"]], ["apne1-az4", "apne1-az1", "apne1-az2"])
        self.assertIn("services: [ssm, s3, secretsmanager]", conf)

    def test_endpoint_names_the_lists_owner(self):
        path = os.path.join(AWS, "list-resolver-endpoint-ip-addresses.json")
        conf, _ = self.run_import(path, "--endpoint", "rslvr-in-0abc")
        self.assertIn("  rslvr-in-0abc:", conf)
        self.check(conf)
        _, said = self.run_import(
            path, os.path.join(AWS, "list-resolver-endpoints.json"), "--endpoint=rslvr-out-77aa77aa77aa77aa7", expect=1
        )
        self.assertIn("--endpoint rslvr-out-77aa77aa77aa77aa7 is no inbound endpoint", said)

    def test_resolv_conf(self):
        conf, _ = self.run_import(self.write("resolv.conf", "# old\nsearch x\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"))
        self.assertIn('local-upstreams: ["192.0.2.1", "2001:db8::1"]', conf)
        self.check(conf)

    def test_broken_json_has_file_line_and_column(self):
        path = self.write("cut.json", sample("describe-subnets.json")[:-3])
        good = os.path.join(AWS, "list-resolver-endpoint-ip-addresses.json")
        printed, said = self.run_import(path, good, expect=1)
        self.assertEqual(printed, "")
        self.assertRegex(said, r"(?m)^\S*cut\.json:\d+:\d+: this is no JSON: .+$")
        _, said = self.run_import("/nowhere/a.json", path, expect=1)
        self.assertIn("/nowhere/a.json: cannot be read: No such file or directory", said)
        self.assertIn("cut.json:", said)

    def test_hostile_json_is_survived(self):
        hostile = {
            "deep": "[" * 5_000_000,
            "deep objects": '{"Subnets":' * 200_000,
            "wide": '{"IpAddresses": [' + ",".join(["{}"] * 500_000) + "]}",
            "many lists": '{"IpAddresses": []}' * 200_000,
            "many zones": json.dumps({"HostedZoneSummaries": [{"Name": f"z{i}.example"} for i in range(3000)]}),
            "long": json.dumps({"HostedZoneSummaries": [{"Name": "x" * 5_000_000}], "x" * 1_000_000: 1}),
            "types": '{"ResolverEndpoints": {"Id": {}}, "VpcEndpoints": [[]], "Subnets": null, "HostedZones": "x"}',
            "octets": "\0\1\2",
        }
        for what, text in hostile.items():
            with self.subTest(what):
                run = subprocess.run([R53FWD, "import", "-"], input=text, capture_output=True, text=True, timeout=60, check=False)
                self.assertIn(run.returncode, (0, 1), run.stderr[-2000:])
                self.assertLess(len(run.stderr), 200_000)
                self.assertNotIn("Sanitizer", run.stderr)
                if run.returncode == 0:
                    self.check(run.stdout)

    def test_usage(self):
        _, said = self.run_import("--json", "x", expect=2)
        self.assertIn("does not take the option", said)


if __name__ == "__main__":
    main()
