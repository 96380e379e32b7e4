# SPDX-License-Identifier: Apache-2.0
"""Other compilers, C libraries and processors: clang; musl, as far as Debian's packages go; arm64, built here and run by qemu."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

from chroot import Chroot, obstacle, own_mounts, run  # noqa: E402
from lib import CORP, LOOPBACK, Program, Sim, Stage, addresses, ask, endpoint_conf, wait_for, zones_conf  # noqa: E402

# What the libraries' headers need of a system's include folder, besides the C library's own.
HEADERS = ["uv.h", "uv", "ldns", "yaml.h", "jansson.h", "jansson_config.h", "seccomp.h", "microhttpd.h", "openssl", "linux", "asm-generic"]
HEADERS += ["seccomp-syscalls.h", "asm"]
LIBRARIES = ["libuv1-dev", "libldns-dev", "libyaml-dev", "libjansson-dev", "libseccomp-dev", "libmicrohttpd-dev"]
TOOLCHAIN = """\
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/bin/qemu-aarch64-static)
"""


class Here(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="r53fwd-elsewhere.")
        self.addCleanup(shutil.rmtree, self.folder)

    @unittest.skipUnless(shutil.which("clang"), "clang is not installed")
    def test_clang_builds_it_without_a_warning(self):
        words = ["-DCMAKE_C_COMPILER=clang", "-DCMAKE_BUILD_TYPE=Release", "-DR53FWD_TESTS=OFF", "-DR53FWD_WERROR=ON"]
        run("cmake", "-S", SOURCE, "-B", self.folder, "-G", "Ninja", *words)
        run("cmake", "--build", self.folder)
        self.assertIn("r53fwd", run(os.path.join(self.folder, "r53fwd"), "--version").stdout)

    @unittest.skipUnless(shutil.which("musl-gcc"), "musl-tools is not installed")
    def test_every_source_compiles_with_musls_headers(self):
        """No library is packaged for musl, so there is nothing to link with: their headers stand beside musl's."""
        triplet = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        for header in HEADERS:
            # OpenSSL has some of its headers in one folder and some in the other.
            for place in (f"/usr/include/{triplet}", "/usr/include"):
                if os.path.isdir(f"{place}/{header}"):
                    run("cp", "-rs", f"{place}/{header}", self.folder)
                elif os.path.exists(f"{place}/{header}"):
                    run("cp", "-sf", f"{place}/{header}", self.folder)
        words = ["musl-gcc", "-std=gnu11", "-D_GNU_SOURCE", '-DR53FWD_VERSION="0"', '-DR53FWD_LIBEXEC="/"', "-Wall", "-Wextra", "-Werror"]
        words += ["-I", os.path.join(SOURCE, "include"), "-isystem", self.folder, "-fsyntax-only"]
        sources = sorted(glob.glob(os.path.join(SOURCE, "src", "*", "*.c")))
        self.assertGreater(len(sources), 100)
        problems = []
        for source in sources:
            done = subprocess.run([*words, source], capture_output=True, text=True, errors="replace", check=False)
            if done.returncode != 0:
                problems.append(f"{os.path.relpath(source, SOURCE)}: {done.stderr[:1000]}")
        self.assertEqual(problems, [])


class Arm64(unittest.TestCase):
    """In a Debian of its own: this machine's packages stay as they are."""

    def setUp(self):
        reason = obstacle()
        if reason:
            self.skipTest(reason)
        own_mounts()
        self.stage = Stage()
        self.addCleanup(lambda: self.assertEqual(self.stage.strike(), []))
        self.debian = Chroot()
        self.addCleanup(self.debian.delete)

    def test_it_builds_and_answers_under_qemu(self):
        self.debian.run("dpkg", "--add-architecture", "arm64")
        tools = ["cmake", "ninja-build", "pkg-config", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static"]
        self.debian.install(*tools, *(f"{library}:arm64" for library in LIBRARIES))
        os.mkdir(self.debian.path("/src"))
        for name in ("CMakeLists.txt", "cmake", "conf", "docs", "include", "src"):
            run("cp", "-r", os.path.join(SOURCE, name), self.debian.path("/src/"))
        self.debian.write("/src/arm64.cmake", TOOLCHAIN)
        cmake = "cmake -S /src -B /build -G Ninja -DCMAKE_TOOLCHAIN_FILE=/src/arm64.cmake -DCMAKE_BUILD_TYPE=Release"
        libraries = "PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig"
        self.debian.run("sh", "-ec", f"{libraries} {cmake} -DR53FWD_TESTS=OFF -DR53FWD_WERROR=ON && cmake --build /build")
        header = run("readelf", "--file-header", self.debian.path("/build/r53fwd")).stdout
        self.assertRegex(header, r"Machine:\s+AArch64")
        qemu = ["/usr/bin/qemu-aarch64-static"]
        self.assertIn("r53fwd", self.debian.run(*qemu, "/build/r53fwd", "--version").stdout)
        self.answers(qemu)

    def answers(self, qemu):
        """The arm64 program between our client and a simulator of this machine's own kind."""
        sim = self.stage.add(Sim(self.stage.folder, [CORP]))
        ip = LOOPBACK.ip()
        port = LOOPBACK.port(ip)
        rest = f"listen: ['{ip}:{port}']\ncontrol: /tmp/control.sock\nworkers: 2\n"
        self.debian.write("/etc/r53fwd/zones.conf", zones_conf([endpoint_conf(sim)], ["{name: corp.test, to: seoul}"], rest=rest))
        fwd = self.stage.add(Program("arm64", self.stage.folder, self.debian.words(*qemu, "/build/r53fwd")))
        fwd.ip, fwd.port = ip, port
        wait_for(lambda: fwd.check_alive() or os.path.exists(self.debian.path("/tmp/control.sock")), 60, "the daemon")
        for tcp in (False, True):
            response = ask(fwd, "www.corp.test", tcp=tcp)
            self.assertEqual(addresses(response), ["10.20.1.1", "10.20.1.2"])
        self.assertEqual(len(ask(fwd, "big.corp.test", "TXT", tcp=True).answer[0]), 24)
        status = self.debian.run(*qemu, "/build/r53fwd", "status", "--json", check=False).stdout
        print(fwd.text(), flush=True)
        self.assertTrue(re.search(r'"version":"[\d.]+"', status), status)


if __name__ == "__main__":
    unittest.main(verbosity=2)
