# SPDX-License-Identifier: Apache-2.0
"""What is shipped for Kubernetes, ECS and Compose: judged by the schemas of those who read it, and every zones.conf in it by
`r53fwd check`."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

SOURCE = os.environ["R53FWD_SOURCE"]
R53FWD = os.environ["R53FWD"]
PACKAGING = os.path.join(SOURCE, "packaging")
ALIVE = ["/bin/r53fwd", "status", "--alive"]

# Debian's python3-kubernetes knows Kubernetes 1.22; what is newer is named here.
NEWER = {("V1Container", "restartPolicy")}


def read(*path):
    with open(os.path.join(PACKAGING, *path), encoding="utf-8") as file:
        return file.read()


def kubernetes_documents():
    folder = os.path.join(PACKAGING, "kubernetes")
    return [(name, document) for name in sorted(os.listdir(folder)) for document in yaml.safe_load_all(read("kubernetes", name))]


def containers():
    """(where, container, pod's spec) of each r53fwd in the Kubernetes manifests."""
    for name, document in kubernetes_documents():
        spec = document.get("spec", {})
        spec = spec.get("template", {}).get("spec", spec)
        for container in spec.get("initContainers", []) + spec.get("containers", []):
            if container["name"] == "r53fwd":
                yield name, container, spec


def ecs():
    return json.loads(read("ecs", "task-definition.json"))


def compose():
    return yaml.safe_load(read("compose", "compose.yaml"))


def zones():
    """(where, text) of each zones.conf."""
    for name, document in kubernetes_documents():
        if document["kind"] == "ConfigMap":
            yield name, document["data"]["zones.conf"]
    for container in ecs()["containerDefinitions"]:
        for variable in container.get("environment", []):
            if variable["name"] == "R53FWD_ZONES_INLINE":
                yield "task-definition.json", variable["value"]
    yield "compose.yaml", compose()["services"]["r53fwd"]["environment"]["R53FWD_ZONES_INLINE"].replace("$$", "$")


def missing(module):
    return importlib.util.find_spec(module) is None


class Kubernetes(unittest.TestCase):
    @unittest.skipIf(missing("kubernetes"), "python3-kubernetes is not installed")
    def test_each_field_is_one_that_kubernetes_knows(self):
        import kubernetes.client.models as models

        problems = []

        def walk(kind, value, path):
            if value is None:
                return
            if match := re.fullmatch(r"list\[(.+)\]", kind):
                for i, member in enumerate(value):
                    walk(match[1], member, f"{path}[{i}]")
            elif match := re.fullmatch(r"dict\(str, (.+)\)", kind):
                for key, member in value.items():
                    walk(match[1], member, f"{path}.{key}")
            elif hasattr(models, kind):
                model = getattr(models, kind)
                fields = {there: here for here, there in model.attribute_map.items()}
                for key, member in value.items():
                    if (kind, key) in NEWER:
                        continue
                    if key not in fields:
                        problems.append(f"{path}: a {kind} has no `{key}`")
                        continue
                    walk(model.openapi_types[fields[key]], member, f"{path}.{key}")
                try:
                    model(**{fields[key]: member for key, member in value.items() if key in fields})
                except ValueError as error:
                    problems.append(f"{path}: {error}")
            elif kind == "str" and not isinstance(value, str) or kind == "int" and not isinstance(value, int):
                problems.append(f"{path}: {value!r} is no {kind}")

        seen = set()
        for name, document in kubernetes_documents():
            walk("V1" + document["kind"], document, f"{name}: {document['kind']}")
            seen.add(document["kind"])
        self.assertEqual(problems, [])
        self.assertLessEqual({"ConfigMap", "Pod", "Service", "DaemonSet"}, seen)
        walk("V1Pod", {"spec": {"containers": [{"name": "x", "imagee": "y"}]}}, "a slip")
        self.assertEqual(problems, ["a slip.spec.containers[0]: a V1Container has no `imagee`"])

    def test_health_is_whether_it_serves(self):
        """Never by /ready?zones=1: one cut link must not restart or withdraw the fleet."""
        probes = 0
        for name, container, _ in containers():
            for key, probe in container.items():
                if key.endswith("Probe"):
                    probes += 1
                    self.assertEqual(probe["exec"]["command"], ALIVE, f"{name} {key}")
            self.assertIn("livenessProbe", container, name)
        self.assertEqual(probes, 4)

    def test_it_runs_with_no_privilege(self):
        """What the Pod Security Standard `restricted` asks for, and a read-only root."""
        for name, container, spec in containers():
            context = {**spec["securityContext"], **container["securityContext"]}
            self.assertEqual((context["runAsNonRoot"], context["runAsUser"]), (True, 65532), name)
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
            self.assertEqual((context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]), (True, False), name)
            self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"}, name)
            self.assertEqual(spec["securityContext"]["sysctls"], [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}], name)
            self.assertFalse(spec.get("hostNetwork"), name)

    def test_memory_holds_the_cache(self):
        """The request: the cache when it is full, and what the program needs besides. The limit: what clients over TCP make it hold besides
        (docs/containers.md)."""
        texts = dict(zones())
        for name, container, _ in containers():
            cache = int(re.search(r"cache: \{size: (\d+)MiB\}", texts[name])[1])
            request, limit = (int(container["resources"][key]["memory"].removesuffix("Mi")) for key in ("requests", "limits"))
            self.assertGreaterEqual(request, cache + 8, name)
            self.assertGreaterEqual(limit, request + 32, name)


class Ecs(unittest.TestCase):
    @unittest.skipIf(missing("botocore"), "python3-botocore is not installed")
    def test_the_api_takes_it(self):
        """The model of the API that AWS's own tools check with."""
        import botocore.session
        import botocore.validate

        model = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
        report = botocore.validate.ParamValidator().validate(ecs(), model.input_shape)
        self.assertFalse(report.has_errors(), report.generate_report())
        wrong = {**ecs(), "volumes": [{"nam": "control"}]}
        self.assertTrue(botocore.validate.ParamValidator().validate(wrong, model.input_shape).has_errors())

    def test_health_is_whether_it_serves(self):
        (container,) = ecs()["containerDefinitions"]
        self.assertEqual(container["healthCheck"]["command"], ["CMD", *ALIVE])
        self.assertTrue(container["readonlyRootFilesystem"])


class Compose(unittest.TestCase):
    @unittest.skipUnless(shutil.which("docker-compose"), "docker-compose is not installed")
    def test_compose_takes_it(self):
        done = subprocess.run(
            ["docker-compose", "--file", os.path.join(PACKAGING, "compose", "compose.yaml"), "config", "--quiet"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_application_waits_for_what_serves_and_asks_it(self):
        services = compose()["services"]
        fwd, app = services["r53fwd"], services["app"]
        self.assertEqual(fwd["healthcheck"]["test"], ["CMD", *ALIVE])
        self.assertEqual(app["dns"], [fwd["networks"]["dns"]["ipv4_address"]])
        self.assertEqual(app["depends_on"]["r53fwd"]["condition"], "service_healthy")
        self.assertTrue(fwd["read_only"])


class Zones(unittest.TestCase):
    def test_each_is_without_error_and_without_warning(self):
        count = 0
        for name, text in zones():
            count += 1
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(text)
                file.flush()
                done = subprocess.run([R53FWD, "check", "--zones", file.name], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn("local-upstreams: [", text, f"{name}: in a container they must be said")
        self.assertEqual(count, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
