#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz target `import` to corpus/import/ beside this file: the samples of tests/aws, alone and together, and what
a hostile or careless hand would make of them."""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "corpus" / "import"
SAMPLES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE.parent / "aws").glob("*.json"))}


def endpoint(number, **more):
    return {"Id": f"rslvr-in-{number}", "Direction": "INBOUND", "HostVPCId": f"vpc-{number}", **more}


def address(ip, subnet="s1", **more):
    return {"Ip": ip, "SubnetId": subnet, "Status": "ATTACHED", **more}


def zones(*names):
    return {"HostedZoneSummaries": [{"Name": name} for name in names]}


def dump(*documents):
    return "\n".join(json.dumps(d) for d in documents)


ODD = {
    "empty": "",
    "nothing": "{}",
    "no_json": "zones: []\n",
    "cut": SAMPLES["describe-subnets"][:-40],
    "twice_a_key": '{"Subnets": [], "Subnets": []}',
    "deep": "[" * 3000,
    "deep_objects": '{"Subnets":' * 1500,
    "wrong_types": dump(
        {"ResolverEndpoints": 7, "IpAddresses": "x", "Subnets": {"a": 1}, "HostedZones": [1, None, [], {}], "VpcEndpoints": [{}]},
        {"IpAddresses": [{"Ip": 1, "SubnetId": []}, {"Ip": "10.0.0.1"}], "ResolverEndpoint": {"Id": {}, "Protocols": {}}},
    ),
    "list_of_documents": "[" + ",".join(SAMPLES.values()) + ", 5]",
    "all": "\n".join(SAMPLES.values()),
    "names": dump(
        {"ResolverEndpoints": [endpoint(1, Name="a b: #\n\u001b[2J ${HOME} é", StatusMessage="x\n- y", Status="NEW")]},
        {"IpAddresses": [address("10.0.0.1"), address("10.0.0.1"), address("${HOME}"), address("::1"), address("224.0.0.1")]},
        {"Subnets": [{"SubnetId": "s1", "AvailabilityZoneId": "a, b}]"}]},
        zones("a.example.", "\\052.b.example.", "*.c.example", "localhost", "x.onion", ".", "", "a..b", "\\303\\251.example", "${HOME}.d",
              "'\"{}[],:#.example", "null", "123", "A.EXAMPLE", "\\400.e", "\\03.f"),
    ),
    "two_vpcs": dump(
        {"ResolverEndpoints": [endpoint(1, Name="one"), endpoint(2, Name="one"), endpoint(2, Name="again")]},
        {"Subnets": [{"SubnetId": "s1", "VpcId": "vpc-1"}, {"SubnetId": "s2", "VpcId": "vpc-2", "AvailabilityZone": "b"}]},
        {"IpAddresses": [address("10.0.0.1")]}, {"IpAddresses": [address("10.0.1.1", "s2")]}, zones("z.example"),
    ),
    "doh_only": dump({"ResolverEndpoint": endpoint(1, Protocols=["DoH"])}, {"IpAddresses": [address("10.0.0.1")]}),
    "local": dump({"ResolverEndpoint": endpoint(1, Name="local")}, {"IpAddresses": [address("10.0.0.1")]}),
    "many_addresses": dump({"ResolverEndpoint": endpoint(1)}, {"IpAddresses": [address(f"10.0.0.{i}") for i in range(1, 40)]}),
    "services": dump(
        {"ResolverEndpoint": endpoint(1)}, {"IpAddresses": [address("10.0.0.1")]},
        zones("api.ecr.eu-west-1.amazonaws.com.", "dkr.ecr.eu-west-1.amazonaws.com.", "kms.cn-north-1.amazonaws.com.cn",
              "iam.amazonaws.com",
              "dynamodb.eu-west-1.amazonaws.com", "execute-api.eu-west-1.amazonaws.com", "notebook.cn-north-1.sagemaker.aws"),
    ),
    "service_without_region": dump({"VpcEndpoints": [{"ServiceName": "sqs"}, {"ServiceName": "a.b."}, {"ServiceName": ""}]}),
    "resolv": "# by hand\nsearch example.internal\n"
    + "".join(f"nameserver {ip}\n" for ip in ("127.0.0.53", "10.0.0.2", "fe80::1%lo", "::1", "x")),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text in {**SAMPLES, **ODD}.items():
        (OUT / name.replace("-", "_")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
