# SPDX-License-Identifier: Apache-2.0
"""Debian as it comes, in a folder: a base that debootstrap makes once (build/system), and over it what a test changes.

All mounts are in a mount namespace of this process's own, and are gone with it."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request

SOURCE = os.environ["R53FWD_SOURCE"]
SUITE = "bookworm"
BASE = os.path.join(SOURCE, "build", "system", SUITE)
INCLUDE = "dbus,iproute2,procps,systemd-standalone-sysusers"
CLONE_NEWNS = 0x00020000

# A mirror may be slow, and so may a busy machine.
PATIENCE_S = 900


def run(*argv, check=True, **options):
    options = {"timeout": PATIENCE_S, "text": True, "capture_output": True, **options}
    done = subprocess.run(argv, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n{(done.stdout or '')[-4000:]}{(done.stderr or '')[-4000:]}")
    return done


def mirror():
    """Where this machine's own packages come from."""
    for folder, _, names in os.walk("/etc/apt"):
        for name in names:
            if name.endswith((".list", ".sources")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found = re.search(r"^(?:URIs:\s*|deb (?:\[.*?\] )?)(\S+/debian)/?(?:\s|$)", file.read(), re.M)
                if found:
                    return found[1]
    return "http://deb.debian.org/debian"


def obstacle():
    """Why there can be no Debian in a folder here, or None."""
    if os.geteuid() != 0:
        return "a chroot takes root"
    if not shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        return "debootstrap is not installed"
    try:
        with urllib.request.urlopen(f"{mirror()}/dists/{SUITE}/Release", timeout=30) as answer:
            answer.read(64)
    except OSError as error:
        return f"the Debian mirror is not reached: {error}"
    return None


def own_mounts():
    """From here on this process and its children have mounts of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def make_base():
    if os.path.exists(os.path.join(BASE, "made")):
        return
    shutil.rmtree(BASE, ignore_errors=True)
    os.makedirs(BASE)
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    root = os.path.join(BASE, "root")
    run("debootstrap", "--variant=minbase", f"--include={INCLUDE}", SUITE, root, mirror(), env=environment)
    with open(os.path.join(BASE, "made"), "w", encoding="ascii"):
        pass


class Chroot:
    """One use of the base. `network`: a namespace of netns.py for its programs, or None for the machine's own network."""

    def __init__(self):
        make_base()
        self.place = tempfile.mkdtemp(prefix="r53fwd-chroot.")
        self.root = os.path.join(self.place, "root")
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.place, name))
        os.chmod(self.place, 0o755)
        os.chmod(os.path.join(self.place, "upper"), 0o755)
        lower = os.path.join(BASE, "root")
        layers = f"lowerdir={lower},upperdir={self.place}/upper,workdir={self.place}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        run("mount", "-t", "proc", "proc", os.path.join(self.root, "proc"))
        run("mount", "--rbind", "/dev", os.path.join(self.root, "dev"))
        run("mount", "-t", "tmpfs", "tmpfs", os.path.join(self.root, "run"))
        # Nothing that is installed here may start by itself.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.resolv_of_the_machine()

    def path(self, name):
        return self.root + name

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def resolv_of_the_machine(self):
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            self.write("/etc/resolv.conf", file.read())

    def words(self, *argv):
        return ["chroot", self.root, *argv]

    def run(self, *argv, **options):
        """Inside it, on whatever network this thread is on."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/"}
        return run(*self.words(*argv), env=environment, **options)

    def install(self, *packages):
        self.run("apt-get", "update", "-q")
        self.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *packages)

    def delete(self):
        run("umount", "--recursive", "--lazy", self.root, check=False)
        shutil.rmtree(self.place, ignore_errors=True)
