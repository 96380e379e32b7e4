# SPDX-License-Identifier: Apache-2.0
"""A pod as Kubernetes lays it out: r53fwd beside an application whose resolv.conf names 127.0.0.1. The application asks through its C
library, glibc and musl, while AZs of the endpoint go silent, and then all of them.

What is played is packaging/kubernetes/sidecar.yaml, with other addresses and a simulator in the pod, by podman; and the same shape without
containers, in namespaces, for where podman cannot run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import yaml

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from lib import PATIENCE_S, R53FWD, R53SIM, Program, Stage, wait_for  # noqa: E402

PRIVATE, PUBLIC = "www.corp.example.internal", "www.example.com"
RIGHT = {f"{PRIVATE} 10.20.1.10", f"{PUBLIC} 192.0.2.80"}
NAMES = (PRIVATE, PUBLIC)
PAUSE_MS = "50"
# As the container image has it.
USER = 65532

# TTLs of a second: nearly every question has to cross to the endpoint.
CORP = """
$ORIGIN corp.example.internal.
@ 60 SOA ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 60
@ 60 NS ns-0.awsdns-00.com.
www 1 A 10.20.1.10
"""
WORLD = """
$ORIGIN .
@ 60 SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400
www.example.com. 1 A 192.0.2.80
"""
AZS = {f"10.10.{i}.10": (f"127.0.10.{i}:53", f"apne2-az{i}") for i in (1, 2, 3)}
LOCAL = "127.0.20.1:53"

# Long enough for a busy machine to pull up a pod.
POD_S = 120


def run(*argv, **options):
    options = {"timeout": POD_S, **options}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def manifest():
    """The sidecar's documents: ConfigMap and Pod."""
    with open(os.path.join(SOURCE, "packaging", "kubernetes", "sidecar.yaml"), encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def zones_conf():
    """The manifest's own file; only addresses are others."""
    text = manifest()[0]["data"]["zones.conf"]
    for there, (here, _) in AZS.items():
        text = text.replace(there, here)
    return re.sub(r"local-upstreams: .*", f"local-upstreams: [{LOCAL}]", text)


def build_askers(folder):
    """The application, once with each C library; returns the names of those that could be built."""
    source = os.path.join(SOURCE, "tests", "system", "asker.c")
    run("cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", os.path.join(folder, "asker-glibc"), source)
    if not shutil.which("musl-gcc"):
        print("musl-gcc is not installed: glibc's resolver alone is tried", flush=True)
        return ["asker-glibc"]
    run("musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", os.path.join(folder, "asker-musl"), source)
    return ["asker-glibc", "asker-musl"]


def sim_words(zones, control):
    words = ["--zone", os.path.join(zones, "corp.zone"), os.path.join(zones, "world.zone"), "--control", control, "--address"]
    return [*words, *(f"{ip},az={az}" for ip, az in AZS.values()), f"{LOCAL},az=office"]


class Shared:
    """What happens, wherever it happens. Another class says how a pod is made: `start`, `said`, `status`, `end`."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a pod takes root")
        self.stage = Stage()
        self.folder = self.stage.folder
        os.chmod(self.folder, 0o755)
        self.addCleanup(self.strike)
        self.shared = os.path.join(self.folder, "shared")
        os.mkdir(self.shared)
        write(os.path.join(self.shared, "corp.zone"), CORP)
        write(os.path.join(self.shared, "world.zone"), WORLD)
        self.resolv = write(os.path.join(self.folder, "resolv.conf"), "nameserver 127.0.0.1\n")

    def strike(self):
        wrong = self.stage.strike()
        if wrong:
            self.fail("\n".join(wrong))

    def sim_ctl(self, *words):
        run(R53SIM, "ctl", "--control", os.path.join(self.shared, "sim.sock"), *words)

    def right_so_far(self, asker):
        """How many names it resolved. From the first right answer on, each must be right: a failure is what nobody should see."""
        lines = self.said(asker).splitlines()
        first = next((i for i, line in enumerate(lines) if line in RIGHT), len(lines))
        self.assertEqual([line for line in lines[first:] if line not in RIGHT], [], f"what {asker} saw")
        return len(lines) - first

    def await_more(self, askers, count=30):
        before = {asker: self.right_so_far(asker) for asker in askers}
        for asker in askers:
            wait_for(lambda a=asker: self.right_so_far(a) >= before[a] + count, POD_S, f"{count} more answers for {asker}")

    def state(self, name="seoul"):
        return next(e["state"] for e in json.loads(self.status("--json")[1])["endpoints"] if e["name"] == name)

    def test_the_application_notices_nothing(self):
        askers = self.start()
        for asker in askers:
            wait_for(lambda a=asker: self.right_so_far(a) > 0, POD_S, f"the first answer for {asker}")
        self.await_more(askers)
        self.sim_ctl("apne2-az1", "silent")
        self.await_more(askers)
        self.sim_ctl("apne2-az1", "heal")
        self.sim_ctl("apne2-az2", "closed")
        self.await_more(askers)
        for az in ("apne2-az1", "apne2-az2", "apne2-az3"):
            self.sim_ctl(az, "silent")
        wait_for(lambda: self.state() == "down", POD_S, "the end of the endpoint")
        self.await_more(askers)
        self.assertEqual(self.status("--alive")[0], 0, "the supervisor's check holds while the endpoint is down")
        self.assertEqual(self.status()[0], 3, "and status tells that it is")
        for az in ("apne2-az1", "apne2-az2", "apne2-az3"):
            self.sim_ctl(az, "heal")
        wait_for(lambda: self.state() == "up", POD_S, "the endpoint's return")
        self.await_more(askers)
        print("; ".join(f"{a}: {self.right_so_far(a)} answers, all right" for a in askers), flush=True)
        self.assertEqual(self.end(), 0, "SIGTERM drains, and ends well")


class Containers(Shared, unittest.TestCase):
    """By podman, with its own storage below the test's folder."""

    @classmethod
    def podman(cls, *words, check=True):
        """Returns what it printed; with check=False how it ended as well."""
        done = subprocess.run(["podman", *words], env=cls.env, capture_output=True, text=True, timeout=POD_S, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"podman {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done.stdout if check else (done.returncode, done.stdout, done.stderr)

    @classmethod
    def setUpClass(cls):
        """The image under test, and one with the simulator and the application, for all tests here."""
        if os.geteuid() != 0 or not shutil.which("podman") or not shutil.which("runc"):
            raise unittest.SkipTest("podman takes root, and runc: the same shape is tried in namespaces alone")
        cls.place = tempfile.mkdtemp(prefix="r53fwd-podman.")
        cls.addClassCleanup(cls.take_away)
        cls.settle()
        tree = os.path.join(cls.place, "app", "tree")
        run(os.path.join(SOURCE, "packaging", "tree.sh"), "--libc", tree, "r53sim")
        cls.askers = build_askers(os.path.join(tree, "bin"))
        write(os.path.join(cls.place, "app", "Containerfile"), "FROM scratch\nCOPY tree/ /\n")
        cls.podman("build", "--isolation=chroot", "--layers=false", "--tag", "localhost/app", os.path.join(cls.place, "app"))
        # Without arguments it says 2: so much podman must be able to do.
        status, _, said = cls.podman("run", "--rm", "localhost/app", f"/bin/{cls.askers[-1]}", check=False)
        if status != 2:
            reason = f"podman cannot run a container here: {said.strip()[-300:]}"
            raise unittest.SkipTest(f"{reason}; the same shape is tried in namespaces alone")
        run(os.path.join(SOURCE, "packaging", "image.sh"), env=cls.env)

    @classmethod
    def settle(cls):
        """What a host without systemd, without cgroups v2 and without a way to raise limits can do, and storage of our own. A pod has no
        sysctls of its own for podman 4.3: what sidecar.yaml asks for is given to all."""
        own = cls.own = os.path.join(cls.place, "podman")
        containers = (
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\nnetns = "none"\nlog_driver = "k8s-file"\n'
            'default_sysctls = ["net.ipv4.ip_unprivileged_port_start=0"]\n[network]\nnetwork_backend = "netavark"\n'
            f'[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\ntmp_dir = "{own}/tmp"\n'
        )
        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{own}/graph"\nrunroot = "{own}/run"\n'
        cls.env = {
            **os.environ,
            "CONTAINERS_CONF": write(os.path.join(cls.place, "containers.conf"), containers),
            "CONTAINERS_STORAGE_CONF": write(os.path.join(cls.place, "storage.conf"), storage),
        }

    @classmethod
    def take_away(cls):
        for words in (("pod", "rm", "--all", "--force"), ("rm", "--all", "--force"), ("volume", "rm", "--all", "--force")):
            cls.podman(*words, check=False)
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1] for line in file if f" {cls.own}/" in line]
        for mount in reversed(mounts):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(cls.place, ignore_errors=True)

    def setUp(self):
        super().setUp()
        self.pod = f"r53fwd-{os.getpid()}"
        self.addCleanup(self.podman, "pod", "rm", "--all", "--force", check=False)

    def start(self):
        config, pod = manifest()
        config["data"]["zones.conf"] = zones_conf()
        pod["metadata"]["name"] = self.pod
        spec = pod["spec"]
        # podman 4.3 knows no init container that stays: here it is a container like the others, and the application is not kept waiting.
        (sidecar,) = spec.pop("initContainers")
        self.assertEqual(sidecar.pop("restartPolicy"), "Always")
        sidecar.pop("startupProbe")
        sidecar["image"] = "localhost/r53fwd:latest"
        shared = {"name": "shared", "mountPath": "/shared"}
        sim = {
            "name": "sim",
            "image": "localhost/app:latest",
            "command": ["/bin/r53sim", *sim_words("/shared", "/shared/sim.sock")],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [shared],
        }
        # Without a network podman writes no resolv.conf: dnsConfig's one is mounted.
        self.assertEqual(spec["dnsConfig"]["nameservers"], ["127.0.0.1"])
        asker = {"image": "localhost/app:latest", "volumeMounts": [{"name": "resolv", "mountPath": "/etc/resolv.conf", "readOnly": True}]}
        asker["securityContext"] = {"runAsUser": 1000}
        apps = [{**asker, "name": name, "command": [f"/bin/{name}", PAUSE_MS, *NAMES]} for name in self.askers]
        spec["containers"] = [sim, sidecar, *apps]
        spec["volumes"] += [{"name": "shared", "hostPath": {"path": self.shared}}, {"name": "resolv", "hostPath": {"path": self.resolv}}]
        file = write(os.path.join(self.folder, "pod.yaml"), yaml.safe_dump_all([config, pod]))
        self.podman("kube", "play", "--network=none", file)
        return self.askers

    def said(self, asker):
        return self.podman("logs", f"{self.pod}-{asker}")

    def status(self, *words):
        return self.podman("exec", f"{self.pod}-r53fwd", "/bin/r53fwd", "status", *words, check=False)[:2]

    def end(self):
        print(f"memory of the sidecar (PSS, all its libraries its own): {self.memory()}", flush=True)
        self.podman("stop", "--time", "20", f"{self.pod}-r53fwd")
        return int(self.podman("inspect", "--format", "{{.State.ExitCode}}", f"{self.pod}-r53fwd"))

    def memory(self):
        pid = self.podman("inspect", "--format", "{{.State.Pid}}", f"{self.pod}-r53fwd").strip()
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return re.search(r"^Pss:\s+(.*)$", file.read(), re.M)[1]

    def test_image_holds_what_it_needs_and_no_more(self):
        """≤ 12 MB, ≤ 20 MB with r53fwd-http; no shell, not root."""
        bounds = {"r53fwd": 12_000_000, "r53fwd-http": 20_000_000}
        listed = self.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        self.assertIn("localhost/r53fwd:latest", listed)
        for name, most in bounds.items():
            image = f"localhost/{name}:latest"
            if image not in listed:
                continue
            size = int(self.podman("image", "inspect", "--format", "{{.Size}}", image))
            print(f"{name}: {size / 1e6:.2f} MB", flush=True)
            self.assertLessEqual(size, most)
            self.assertEqual(self.podman("image", "inspect", "--format", "{{.User}}", image).strip(), f"{USER}:{USER}")
            mount = self.podman("image", "mount", image).strip()
            files = [os.path.relpath(os.path.join(at, f), mount) for at, _, found in os.walk(mount) for f in found]
            self.podman("image", "unmount", image)
            strange = [f for f in files if not re.match(r"bin/r53fwd(-http)?$|lib(64)?/(ld-linux|lib)[^/]*\.so[.\d]*$|share/", f)]
            self.assertEqual(strange, [])

    def test_image_with_http_shows_metrics(self):
        text = "{zones: [], http: '127.0.0.1:9553', local-upstreams: [127.0.0.9]}"
        name = f"{self.pod}-http"
        words = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--env", f"R53FWD_ZONES_INLINE={text}"]
        self.addCleanup(self.podman, "rm", "--force", "--volumes", name, check=False)
        self.podman("run", "--detach", "--name", name, *words, "localhost/r53fwd-http")
        pid = self.podman("inspect", "--format", "{{.State.Pid}}", name).strip()
        get = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9553/metrics', timeout=5).read().decode())"
        # There is no client in the image: ours asks in the container's network.
        ask = ["nsenter", "--net", "--target", pid, "--", sys.executable, "-c", get]
        answer = lambda: subprocess.run(ask, capture_output=True, text=True, timeout=POD_S, check=False).stdout  # noqa: E731
        self.assertIn("r53fwd_queries_total", wait_for(answer, POD_S, f"metrics; {self.podman('logs', name, check=False)}"))

    def test_image_runs_from_the_environment_alone(self):
        """A read-only root, no capability, no file: the zones come by R53FWD_ZONES_INLINE, a variable in them by itself."""
        text = "{zones: [{name: corp.example.internal, to: seoul}], inbound-endpoints: {seoul: {addresses: ['${ENI}']}}, "
        text += "local-upstreams: [127.0.0.9]}"
        name = f"{self.pod}-alone"
        words = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
        words += ["--env", f"R53FWD_ZONES_INLINE={text}", "--env", "ENI=10.10.1.10"]
        self.podman("run", "--detach", "--name", name, *words, "localhost/r53fwd")
        self.addCleanup(self.podman, "rm", "--force", "--volumes", name, check=False)
        alive = ("exec", name, "/bin/r53fwd", "status", "--alive")
        wait_for(lambda: self.podman(*alive, check=False)[0] == 0, POD_S, "a live daemon")
        self.assertIn("10.10.1.10:53", self.podman("exec", name, "/bin/r53fwd", "check"))
        self.podman("stop", "--time", "20", name)
        self.assertEqual(self.podman("inspect", "--format", "{{.State.ExitCode}}", name).strip(), "0")


class Namespaces(Shared, unittest.TestCase):
    """The same processes in a network and a mount namespace."""

    def start(self):
        shutil.copy(R53FWD, os.path.join(self.folder, "r53fwd"))
        zones = write(os.path.join(self.folder, "zones.conf"), f"{zones_conf()}\ncontrol: {self.folder}/control/control.sock\n")
        os.mkdir(os.path.join(self.folder, "control"))
        os.chown(os.path.join(self.folder, "control"), USER, USER)
        self.zones = zones
        ready = os.path.join(self.folder, "ready")
        script = (
            f"ip link set lo up && echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start && mount --bind {self.resolv} "
            f"$(realpath /etc/resolv.conf) && touch {ready} && exec sleep infinity"
        )
        holder = Program("holder", self.folder, ["unshare", "--net", "--mount", "sh", "-c", script])
        self.addCleanup(holder.stop)
        try:
            wait_for(lambda: holder.check_alive() or os.path.exists(ready), what="a namespace")
        except AssertionError as error:
            self.skipTest(f"this machine gives no namespaces: {error}")
        inside = ["nsenter", "--net", "--mount", "--target", str(holder.pid), "--"]
        self.program("sim", inside, [R53SIM, *sim_words(self.shared, os.path.join(self.shared, "sim.sock"))])
        wait_for(lambda: os.path.exists(os.path.join(self.shared, "sim.sock")), what="the simulator")
        drop = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
        self.forwarder = self.program("r53fwd", inside, [*drop, os.path.join(self.folder, "r53fwd"), "--zones", zones])
        askers = build_askers(self.folder)
        for name in askers:
            self.program(name, inside, [os.path.join(self.folder, name), PAUSE_MS, *NAMES])
        return askers

    def program(self, name, inside, words):
        return self.stage.add(Program(name, self.folder, [*inside, *words]))

    def said(self, asker):
        with open(os.path.join(self.folder, f"{asker}.out"), encoding="utf-8") as file:
            whole = file.read()
        return whole[: whole.rfind("\n") + 1]

    def status(self, *words):
        argv = [R53FWD, "status", "--zones", self.zones, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode, done.stdout

    def end(self):
        self.forwarder.signal(signal.SIGTERM)
        return self.forwarder.wait()


if __name__ == "__main__":
    unittest.main(verbosity=2)
