# SPDX-License-Identifier: Apache-2.0
"""The completion for bash, used by a real bash as its line editor would: words taken apart, the function called, COMPREPLY read."""

import os
import re
import subprocess

from lib import PATIENCE_S, R53FWD, Case, main

# Takes the line apart as readline does: at blanks, and `=` is a word of its own. bash sets $1 to the command.
ASK = r"""
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
_r53fwd "$1" "${!#}" ""
printf '%s\n' "${COMPREPLY[@]}"
"""


class Completion(Case):
    @classmethod
    def setUpClass(cls):
        cls.script = subprocess.run([R53FWD, "--print", "completion"], capture_output=True, text=True, check=True).stdout

    def complete(self, line):
        """What is offered for the last word of `line`."""
        words = [R53FWD, *line.replace("=", " = ").split(" ")] if line else [R53FWD, ""]
        run = subprocess.run(
            ["bash", "--norc", "--noprofile", "-u", "-c", ASK, "bash", *words],
            env={**os.environ, "SCRIPT": self.script},
            cwd=self.stage.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        self.assertEqual((run.returncode, run.stderr), (0, ""), line)
        return run.stdout.split()

    def test_it_is_bash_and_registers_itself(self):
        run = subprocess.run(["bash", "--norc", "-c", self.script + "complete -p r53fwd"], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, "complete -F _r53fwd r53fwd\n")
        self.assertEqual(run.stderr, "")

    def test_shellcheck_has_nothing_to_say(self):
        run = subprocess.run(["shellcheck", "-s", "bash", "-"], input=self.script, capture_output=True, text=True, check=False)
        self.assertEqual(run.stdout, "")

    def test_commands(self):
        offered = self.complete("")
        for command in ("check", "status", "reload", "flush", "drain", "undrain"):
            self.assertIn(command, offered)
        self.assertEqual(self.complete("und"), ["undrain"])
        self.assertEqual(self.complete("--zones x.conf undr"), ["undrain"])
        self.assertEqual(self.complete("--zones=x.conf undr"), ["undrain"])

    def test_options_are_those_of_the_command(self):
        self.assertEqual(self.complete("status --al"), ["--alive"])
        self.assertEqual(self.complete("check --al"), [])
        self.assertEqual(sorted(self.complete("flush --")), ["--all", "--control", "--zone", "--zones"])
        self.assertIn("--workers", self.complete("--"))

    def test_every_option_that_is_offered_is_taken(self):
        """`r53fwd COMMAND --OPTION …` must not end with "this command does not take the option"."""
        values = {"--zones": ["nowhere.conf"], "--control": ["./nowhere"], "--listen": ["127.0.0.1:1"]}
        taking = re.findall(r"^\t(--[a-z-]+)\)$", self.script, re.M)
        for command in self.complete(""):
            for option in self.complete(f"{command} --"):
                argv = [R53FWD, command, option, *values.get(option, ["x"] if option in taking else [])]
                run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
                self.assertNotIn("does not take the option", run.stderr, argv)
                self.assertNotIn("unrecognized", run.stderr, argv)

    def test_values(self):
        self.assertEqual(self.complete("--log-level w"), ["warn"])
        self.assertEqual(self.complete("--log-level=w"), ["warn"])
        self.assertEqual(self.complete("--log-level="), ["error", "warn", "info", "debug"])
        self.assertIn("completion", self.complete("--print "))
        self.assertEqual(self.complete("--workers "), [])

    def test_files(self):
        for name in ("zones.conf", "zones.old"):
            with open(os.path.join(self.stage.folder, name), "w", encoding="utf-8"):
                pass
        self.assertEqual(sorted(self.complete("check --zones zon")), ["zones.conf", "zones.old"])
        self.assertEqual(self.complete("check --zones=zones.c"), ["zones.conf"])

    def test_addresses_and_zones_are_those_of_the_daemon(self):
        fwd, sim, _ = self.serve()
        ips = sorted(a.ip for a in sim.addresses)
        self.assertEqual([ip for ip in self.complete(f"drain --control {fwd.control} ") if ip in ips], ips)
        self.assertEqual(self.complete(f"undrain --zones {fwd.conf} {ips[0]}"), [ips[0]])
        self.assertEqual(self.complete(f"flush --control {fwd.control} --zone "), ["corp.test", "hasty.test"])
        self.assertEqual(self.complete("drain --control ./nobody "), [])


if __name__ == "__main__":
    main()
