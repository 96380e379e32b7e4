# SPDX-License-Identifier: Apache-2.0
"""The command line itself: one spelling of each option, and output that arrives or is complained of."""

import os
import subprocess

from lib import R53FWD, R53SIM, Case, main

R53FWD_HTTP = os.environ["R53FWD_HTTP"]
FULL = "standard output cannot be written: No space left on device"


class CommandLine(Case):
    def to_full(self, *words, program=R53FWD):
        """Exit status and complaint of a program whose output goes to a disk that is full."""
        with open("/dev/full", "w", encoding="utf-8") as full:
            run = subprocess.run([program, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        return run.returncode, run.stderr

    def usage(self, *words, program=R53FWD):
        run = subprocess.run([program, *words], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((run.returncode, run.stdout), (2, ""), words)
        return run.stderr

    def test_output_that_cannot_be_written_is_a_failure_with_a_sentence(self):
        fwd, _, _ = self.serve()
        zones, address = ["--zones", fwd.conf], self.addresses_of(fwd)[0]["address"]
        lists = os.path.join(os.environ["R53FWD_SOURCE"], "tests/aws")
        for words in (["--help"], ["--version"], ["--print", "example"], ["--print", "metrics"], ["check", *zones],
                      ["explain", "www.corp.test", *zones], ["explain", "www.corp.test", "--json", *zones], ["status", *zones],
                      ["status", "--json", *zones], ["flush", "--all", *zones], ["drain", address, *zones],
                      ["undrain", address, *zones], ["doctor", *zones],
                      ["import", *(f"{lists}/list-resolver-endpoint{s}.json" for s in ("s", "-ip-addresses"))]):
            with self.subTest(words):
                status, said = self.to_full(*words)
                self.assertEqual(status, 1, said)
                self.assertEqual(said.splitlines()[-1:], [f"r53fwd: {FULL}"], said)
        status, said = self.to_full("status", "--watch", *zones)
        self.assertEqual((status, said[:len("r53fwd: standard output cannot")]), (1, "r53fwd: standard output cannot"))
        self.assertEqual(self.to_full("--help", program=R53FWD_HTTP), (1, f"r53fwd-http: {FULL}\n"))
        for words in (["--help"], ["--version"], ["ctl", "--help"]):
            self.assertEqual(self.to_full(*words, program=R53SIM), (1, f"r53sim: {FULL}\n"))

    def test_an_option_has_one_spelling(self):
        self.assertIn("unrecognized option '--vers' (did you mean `--version`?)", self.usage("--vers"))
        self.assertIn("unrecognized option '--list'", self.usage("--list", "127.0.0.1:77"))
        self.assertIn("unrecognized option '--control-socket", self.usage("status", "--control-socket=/a"))
        self.assertIn("unrecognized option '--cont", self.usage("--cont", "/nowhere", program=R53FWD_HTTP))
        self.assertIn("unrecognized option '--addr", self.usage("--zone", "/dev/null", "--addr=127.0.0.1", program=R53SIM))
        self.assertIn("unrecognized option '--con", self.usage("ctl", "--con", "/nowhere", "all", program=R53SIM))

    def test_a_value_is_not_empty_and_given_once(self):
        for words in (["check", "--zones="], ["status", "--control", ""], ["flush", "--zone", ""]):
            self.assertIn("requires an argument that is not empty", self.usage(*words))
        same = ["--listen", "127.0.0.1", "--listen", "127.0.0.1:53"]
        self.assertIn("--listen is given twice for: 127.0.0.1:53", self.usage(*same))


if __name__ == "__main__":
    main()
