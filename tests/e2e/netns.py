# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of a test's own. Names carry this process's id; nothing outside them is touched."""

import contextlib
import ctypes
import os
import subprocess

from lib import PATIENCE_S

# CTest takes this for "skipped".
SKIPPED = 77
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Namespace:
    """A network namespace with a name. Inside `with`, sockets and children of this thread belong to it."""

    def __init__(self, role):
        self.name = f"r53fwd-{os.getpid()}-{role}"
        run("ip", "netns", "add", self.name)
        try:
            self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
            self.ip("link", "set", "lo", "up")
        except OSError:
            self.delete()
            raise

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    @contextlib.contextmanager
    def inside(self):
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(self.fd)
            try:
                yield
            finally:
                enter(before)
        finally:
            os.close(before)

    def delete(self):
        with contextlib.suppress(AttributeError):
            os.close(self.fd)
        run("ip", "netns", "del", self.name)


def enter(fd):
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


class Lan:
    """Hosts on one bridge."""

    def __init__(self):
        self.spaces = []
        self.middle = self.space("lan")
        try:
            self.middle.ip("link", "add", "lan", "type", "bridge")
            self.middle.ip("link", "set", "lan", "up")
        except OSError:
            self.delete()
            raise

    def space(self, role):
        space = Namespace(role)
        self.spaces.append(space)
        return space

    def plug(self, role, *ips):
        """A host with these addresses on its eth0."""
        space = self.space(role)
        space.ip("link", "add", "eth0", "type", "veth", "peer", "name", role, "netns", self.middle.name)
        self.middle.ip("link", "set", "dev", role, "master", "lan", "up")
        for ip in ips:
            space.ip("address", "add", f"{ip}/24", "dev", "eth0")
        space.ip("link", "set", "eth0", "up")
        return space

    def cable(self, role, state):
        """A host's cable: up or down."""
        self.middle.ip("link", "set", "dev", role, state)

    def delete(self):
        for space in reversed(self.spaces):
            with contextlib.suppress(OSError):
                space.delete()


def obstacle_to_lan():
    """Why this machine can have no Lan, or None."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    try:
        Lan().delete()
    except OSError as refusal:
        return f"this machine refuses: {refusal}"
    return None
