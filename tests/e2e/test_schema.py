# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of zones.conf, used as an editor uses it: by a validator that was not written by us, on YAML read by another library.

Whatever the program takes must be valid; what a schema can see to be wrong must not be.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

from lib import R53FWD, main

ROOT = os.environ["R53FWD_SOURCE"]


def printed(what):
    return subprocess.run([R53FWD, "--print", what], capture_output=True, text=True, check=True).stdout


SCHEMA = json.loads(printed("schema"))

# Every key that is read by hand, in every form; those of options.def are walked by the rows' own test below.
WHOLE = """
listen: [127.0.0.1:5353, "[::1]:5353"]
workers: auto
control: /tmp/r53fwd.sock
allow-from: [127.0.0.0/8, "::1/128", 192.0.2.1]
inbound-endpoints:
  seoul:
    addresses: [{ip: 10.10.1.10, az: apne2-az1}, {ip: 10.10.2.10, port: 5300, az: apne2-az2}, 10.10.3.10, "[fd00::1]:53"]
    port: 53
    transport: tcp
    policy: nearest
    prefer-az: apne2-az1
    max-qps: 5000
    source-ports: 256
    case-randomization: off
    hedge: 50ms
    hedge-budget: 12.5%
    probe: {interval: 2s, fall: 3, rise: 2}
  tokyo: {addresses: [10.20.1.10, 10.20.2.10], hedge: auto, hedge-budget: off}
resolvers:
  ad: {addresses: [192.168.10.10, 192.168.10.11], policy: ordered, hedge: off}
zones:
  - {name: corp.example.internal, to: seoul}
  - {name: [a.internal, b.internal], to: [seoul, tokyo]}
  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, s3, ecr]}, to: seoul, keep-warm: true}
  - {reverse: 10.20.0.0/14, to: seoul}
  - {name: corp.local, to: ad}
  - {name: legacy.corp.example.internal, to: local}
  - {name: db.example.com, to: seoul, expect: private, guard: enforce, association: off, keep-warm: [main.db.example.com]}
  - {name: net.example.com, to: seoul, expect: [10.0.0.0/8, "fd00::/8"], guard: off}
local-upstreams: [192.168.0.2, {ip: 192.168.0.3, port: 5300}]
cache: {size: 64MiB, min-ttl: 0s, max-ttl: 1d, negative-max-ttl: 60s, prefetch: off, serve-stale: 1.5d, stale-after: 1.8s,
  persist: /tmp/cache, persist-interval: 15m}
tcp: {idle: 10s, connections: 1000, per-client: 100}
rate-limit: {qps: 100, slip: off}
http: 127.0.0.1:9553
http-host: status.example.com
log: {level: debug, format: json, queries: errors}
"""

# Each is WHOLE with one thing spelled otherwise.
SPELLINGS = [
    ("workers: auto", 'workers: "4"'),
    ("workers: auto", "workers: AUTO"),
    ("max-qps: 5000", "max-qps: '5000'"),
    ("case-randomization: off", 'case-randomization: "false"'),
    ("transport: tcp", "transport: TCP"),
    ("policy: nearest", "policy: Nearest"),
    ("min-ttl: 0s", "min-ttl: '0'"),
    ("slip: off", "slip: 'OFF'"),
    ("guard: enforce", "guard: Enforce"),
    ("guard: off", "guard: 'False'"),
    ("expect: private", "expect: Private"),
    ("association: off", "association: 'No'"),
    ("keep-warm: true", 'keep-warm: "true"'),
]

# Each is WHOLE with one thing changed, so that nothing else can be what is wrong.
WRONG = [
    ("an unknown key", "workers: auto", "worker: auto"),
    ("an unknown key of an endpoint", "transport: tcp", "transprt: tcp"),
    ("an unknown key of an address", "{ip: 10.10.1.10, az: apne2-az1}", "{ip: 10.10.1.10, zone: apne2-az1}"),
    ("an address without an IP", "{ip: 10.10.1.10, az: apne2-az1}", "{az: apne2-az1}"),
    ("an unknown key of a zone", "guard: enforce", "gard: enforce"),
    ("an unknown policy", "policy: nearest", "policy: closest"),
    ("an unknown transport", "transport: tcp", "transport: tls"),
    ("a number out of its range", "fall: 3", "fall: 0"),
    ("a port out of its range", "port: 53\n", "port: 70000\n"),
    ("a number that is a word", "max-qps: 5000", "max-qps: many"),
    ("a size without a unit", "size: 64MiB", "size: 64"),
    ("a time with another unit", "idle: 10s", "idle: 10 parsecs"),
    ("a share without its sign", "hedge-budget: 12.5%", "hedge-budget: 12.5"),
    ("a word that is no level", "level: debug", "level: loud"),
    ("an unknown service", "services: [ssm, s3, ecr]", "services: [ssm, s4]"),
    ("no services", "services: [ssm, s3, ecr]", "services: []"),
    ("a service that is refused", "services: [ssm, s3, ecr]", "services: [dynamodb]"),
    ("no region", "{region: ap-northeast-2, services: [ssm, s3, ecr]}", "{services: [ssm]}"),
    ("a zone that goes nowhere", "{name: corp.local, to: ad}", "{name: corp.local}"),
    ("a zone without a name", "{name: corp.local, to: ad}", "{to: ad}"),
    ("a zone with two kinds of name", "{name: corp.local, to: ad}", "{name: corp.local, reverse: 10.0.0.0/8, to: ad}"),
    ("an unknown guard", "guard: enforce", "guard: strict"),
    ("expectations of no kind", "expect: private", "expect: 10.0.0.0/8"),
    ("no addresses", "addresses: [10.20.1.10, 10.20.2.10]", "addresses: []"),
    ("21 addresses", "addresses: [10.20.1.10, 10.20.2.10]", f"addresses: {[f'10.20.3.{i}' for i in range(1, 22)]}"),
    ("an endpoint that is a list", "tokyo: {addresses: [10.20.1.10, 10.20.2.10], hedge: auto, hedge-budget: off}", "tokyo: [10.20.1.10]"),
    ("zones that are a map", "zones:\n  - {name: corp.example.internal, to: seoul}\n", "zones:\n  corp.example.internal: seoul\nx:\n"),
    ("no zones", "zones:\n", "zonen:\n"),
]


def problems(text):
    validator = jsonschema.Draft7Validator(SCHEMA)
    return [f"{'/'.join(str(p) for p in e.absolute_path)}: {e.message}" for e in validator.iter_errors(yaml.safe_load(text))]


def check(text):
    """The exit status of `r53fwd check`, and what it says."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        run = subprocess.run([R53FWD, "check", "--zones", file.name], capture_output=True, text=True, check=False)
    return run.returncode, run.stderr


def rows():
    """OPTION(section, "key", field, TYPE, "default", …) of the table."""
    with open(os.path.join(ROOT, "include/tables/options.def"), encoding="utf-8") as file:
        return re.findall(r'^OPTION\((\w+), "([^"]+)", \w+, (\w+), "([^"]*)"', file.read(), re.M)


def with_option(section, key, value):
    frames = {
        "top": "zones: []\n%s: %s\n",
        "endpoint": "zones: []\ninbound-endpoints:\n  e:\n    addresses: [{ip: 192.0.2.1, az: x}, 192.0.2.2]\n    %s: %s\n",
        "probe": "zones: []\ninbound-endpoints:\n  e:\n    addresses: [192.0.2.1, 192.0.2.2]\n    probe: {%s: %s}\n",
    }
    return frames.get(section, f"zones: []\n{section.replace('_', '-')}: {{%s: %s}}\n") % (key, value)


class Schema(unittest.TestCase):
    def test_the_schema_is_one(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)

    def test_what_the_program_takes_is_valid(self):
        with open(os.path.join(ROOT, "conf/demo.conf"), encoding="utf-8") as file:
            demo = file.read()
        for text in (WHOLE, "zones: []\n", printed("example"), demo):
            self.assertEqual((0, []), (check(text)[0], problems(text)), text)

    def test_another_spelling_that_the_program_takes_is_valid(self):
        for right, other in SPELLINGS:
            with self.subTest(other):
                self.assertEqual(WHOLE.count(right), 1, "the test changes nothing, or too much")
                text = WHOLE.replace(right, other)
                self.assertEqual((check(text), problems(text)), ((0, check(WHOLE)[1]), []))

    def test_every_option_takes_its_default_in_quotes_and_in_capitals(self):
        for section, key, kind, standard in rows():
            if kind == "TEXT":
                continue
            for value in (f'"{standard}"', f"'{standard.upper()}'"):
                with self.subTest(f"{section}.{key}: {value}"):
                    text = with_option(section, key, value)
                    # Units have their letter case; what the program takes must be valid.
                    taken = check(text)[0] == 0
                    self.assertTrue(taken or value[1:-1] != standard)
                    if taken:
                        self.assertEqual(problems(text), [])

    def test_what_is_wrong_is_found_by_both(self):
        for what, right, wrong in WRONG:
            with self.subTest(what):
                self.assertEqual(WHOLE.count(right), 1, "the test changes nothing, or too much")
                text = WHOLE.replace(right, wrong)
                self.assertNotEqual(check(text)[0], 0)
                self.assertNotEqual(problems(text), [])

    def test_every_option_takes_its_default_and_no_list(self):
        self.assertGreater(len(rows()), 25)
        for section, key, kind, standard in rows():
            with self.subTest(f"{section}.{key}"):
                text = with_option(section, key, standard or "x")
                self.assertEqual(problems(text), [])
                if kind != "TEXT":
                    self.assertEqual(check(text)[0], 0, check(text)[1])
                self.assertNotEqual(problems(with_option(section, key, "[1]")), [])

    def test_every_key_of_the_program_is_known(self):
        """The nearest key that the program offers for a slip of each key is in the schema: none was added to one alone."""
        known = set(re.findall(r'"([a-z][a-z-]*)": \{', json.dumps(SCHEMA)))
        for key in re.findall(r'^static const struct reader \w*readers\[\] = \{(.*?)\};', self.sources(), re.M | re.S):
            for name in re.findall(r'\{"([a-z-]+)"', key):
                self.assertIn(name, known)

    @staticmethod
    def sources():
        texts = []
        for name in ("config.c", "endpoints.c", "zones.c"):
            with open(os.path.join(ROOT, "src/config", name), encoding="utf-8") as file:
                texts.append(file.read())
        return "\n".join(texts)

    def test_variables_may_stand_for_any_value(self):
        self.assertEqual(problems(WHOLE.replace("max-qps: 5000", "max-qps: ${QPS}").replace("guard: enforce", "guard: \"${GUARD}\"")), [])


if __name__ == "__main__":
    main()
