# SPDX-License-Identifier: Apache-2.0
"""`r53fwd status` as an operator meets it: the table in an outage, on a terminal, in a pipe, and watched."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess

from lib import PATIENCE_S, R53FWD, Case, ask, main, wait_for

ESCAPE = re.compile(r"\033\[[0-9;]*[A-Za-z]")
CLEAR = "\033[H\033[2J"


class Terminal:
    """A command whose output is a terminal of its own."""

    def __init__(self, argv, env=None):
        self.fd, end = pty.openpty()
        keep = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.child = subprocess.Popen(argv, stdin=end, stdout=end, stderr=end, env={**keep, **(env or {})}, start_new_session=True)
        os.close(end)
        self.text = ""

    def read(self):
        """What has come so far, after taking what there is."""
        while select.select([self.fd], [], [], 0)[0]:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            self.text += piece.decode("ascii")
        return self.text

    def until(self, question, what):
        wait_for(lambda: question(self.read()), what=what)
        return self.text

    def end(self):
        self.until(lambda _: self.child.poll() is not None, "the end")
        return self.read()

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        self.child.wait()
        os.close(self.fd)


class Status(Case):
    def terminal(self, fwd, *words, env=None):
        terminal = Terminal([R53FWD, "status", "--control", fwd.control, *words], env)
        self.addCleanup(terminal.close)
        return terminal

    def table(self, fwd):
        """Whatever it ends with: an endpoint that is down ends in 3."""
        argv = [R53FWD, "status", "--control", fwd.control]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout

    def row(self, table, address):
        return next(line for line in table.splitlines() if f"{address.ip}:{address.port}" in line)

    def test_a_table_in_an_outage(self):
        fwd, sim, _ = self.serve(endpoint="policy: ordered, max-qps: 500, probe: {interval: 200ms}")
        ask(fwd, "www.corp.test")
        wait_for(lambda: "3 of 3 addresses well" in fwd.command("status")[0], what="the first probes")
        table, _ = fwd.command("status")
        self.assertIn("zones: 2, all well", table)
        self.assertRegex(table, rf"config: {re.escape(fwd.conf)}, read at \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n")
        self.assertIn("ordered, max-qps 500 each", table)
        self.assertRegex(self.row(table, sim.addresses[0]), r"az1 +up +\d+\.\d +\d+\.\d +\d+% +(-|\d+%) +\d+ +\d+  \d+ s$")
        fwd.command("drain", sim.addresses[2].ip)
        self.assertIn("drained by hand", self.row(fwd.command("status")[0], sim.addresses[2]))
        sim.ctl("all", "silent")
        for i in range(3):
            ask(fwd, f"lost{i}.corp.test", timeout=10)
        wait_for(lambda: "!! seoul is down" in self.table(fwd), what="the endpoint's fall")
        table, _ = fwd.command("status", expect=3)
        self.assertIn("!! seoul is down: none of its addresses answers\n", table)
        self.assertRegex(table, r"seoul  down  ordered, max-qps 500 each; 0 of 3 addresses well; down 1 time since the start")
        self.assertRegex(self.row(table, sim.addresses[0]), r"(unanswered|no address of the endpoint answers)")
        self.assertRegex(table, r"zones in trouble:\n  down      (corp|hasty)\.test and 1 more -> seoul\n")

    def test_a_changed_file_is_told(self):
        fwd, _, _ = self.serve()
        self.assertNotIn("changed since", fwd.command("status")[0])
        with open(fwd.conf, "a", encoding="utf-8") as file:
            file.write("# more\n")
        self.assertIn("; changed since, `r53fwd reload` has it read\n", fwd.command("status")[0])
        fwd.command("reload")
        self.assertNotIn("changed since", fwd.command("status")[0])

    def test_colour_on_a_terminal_alone(self):
        fwd, _, _ = self.serve()
        plain, _ = fwd.command("status")
        self.assertNotIn("\033", plain)
        self.assertRegex(self.terminal(fwd).end(), r"\033\[3[123]m\w+ *\033\[0m")
        self.assertNotIn("\033", self.terminal(fwd, env={"NO_COLOR": "1"}).end())
        self.assertIn("\033", self.terminal(fwd, env={"NO_COLOR": ""}).end())
        self.assertNotIn("\033", self.terminal(fwd, "--json").end())

    def test_watch_redraws_and_sees_the_daemon_go(self):
        fwd, _, _ = self.serve()
        terminal = self.terminal(fwd, "--watch")
        text = terminal.until(lambda t: t.count(CLEAR) >= 3, "three pictures")
        self.assertIn("Ctrl-C ends", text)
        for picture in text.split(CLEAR)[1:-1]:
            self.assertIn("r53fwd ", ESCAPE.sub("", picture).splitlines()[0])
        fwd.stop()
        terminal.until(lambda t: "no daemon serves at" in t, "the news that it is gone")
        self.assertIsNone(terminal.child.poll(), "who watches on a terminal waits for its return")
        again = self.forwarder_again(fwd)
        drawn = terminal.read().count(CLEAR)
        terminal.until(lambda t: t.count(CLEAR) > drawn, "its return")
        again.check_alive()
        terminal.child.send_signal(signal.SIGINT)
        terminal.end()
        self.assertEqual(terminal.child.returncode, -signal.SIGINT)

    def forwarder_again(self, fwd):
        with open(fwd.conf, encoding="utf-8") as file:
            conf = "".join(line for line in file if not line.startswith("listen:"))
        return self.forwarder(conf, at=fwd)

    def test_watch_in_a_pipe_ends_with_the_daemon(self):
        fwd, _, _ = self.serve()
        argv = [R53FWD, "status", "--watch", "--json", "--control", fwd.control]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
            self.assertIn('"endpoints"', watch.stdout.readline())
            self.assertIn('"endpoints"', watch.stdout.readline())
            fwd.stop()
            _, said = watch.communicate(timeout=PATIENCE_S)
        self.assertEqual(watch.returncode, 1)
        self.assertIn("no daemon serves at", said)


if __name__ == "__main__":
    main()
