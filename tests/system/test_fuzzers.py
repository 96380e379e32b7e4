# SPDX-License-Identifier: Apache-2.0
"""tests/fuzz/oss-fuzz-build.sh, as OSS-Fuzz's base-builder calls it; then what it made, from another folder and without our environment."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

SOURCE = os.environ["R53FWD_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "system"))

from chroot import run  # noqa: E402

NAMES = sorted(os.path.basename(path)[len("fuzz_"):-len(".c")] for path in glob.glob(f"{SOURCE}/tests/fuzz/fuzz_*.c"))
BASE = "-O1 -fno-omit-frame-pointer -gline-tables-only -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
CHECKED = "array-bounds,bool,function,integer-divide-by-zero,null,object-size,return,shift,signed-integer-overflow,vla-bound"
SANITIZERS = {
    "address": "-fsanitize=address -fsanitize-address-use-after-scope",
    "undefined": f"-fsanitize={CHECKED},unsigned-integer-overflow -fno-sanitize-recover={CHECKED}",
}
# Those of the compiler and the C library, which are where targets run.
THERE = re.compile(r"(linux-vdso|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+))\.so|ld-linux")


@unittest.skipUnless(shutil.which("clang++"), "clang is not installed")
class Fuzzers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="r53fwd-fuzzers.")
        self.addCleanup(shutil.rmtree, self.folder)

    def build(self, sanitizer):
        flags = f"{BASE} {SANITIZERS[sanitizer]} -fsanitize=fuzzer-no-link"
        out = os.path.join(self.folder, "out")
        environment = {"CC": "clang", "CXX": "clang++", "CFLAGS": flags, "CXXFLAGS": flags, "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer"}
        environment |= {"OUT": out, "WORK": os.path.join(self.folder, "work"), "SRC": self.folder, "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["bash", "-eux", f"{SOURCE}/tests/fuzz/oss-fuzz-build.sh"],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return out

    def runs(self, out, name):
        """From its seeds, with its dictionary, as OSS-Fuzz does."""
        seeds = os.path.join(self.folder, f"seeds-{name}")
        with zipfile.ZipFile(f"{out}/fuzz_{name}_seed_corpus.zip") as archive:
            archive.extractall(seeds)
        self.assertEqual(sorted(os.listdir(seeds)), sorted(os.listdir(f"{SOURCE}/tests/fuzz/corpus/{name}")))
        words = [f"{out}/fuzz_{name}", "-runs=1000", "-seed=1", seeds]
        has_dictionary = os.path.exists(f"{SOURCE}/tests/fuzz/dict/{name}.dict")
        if has_dictionary:
            words.append(f"-dict={out}/fuzz_{name}.dict")
        environment = {"UBSAN_OPTIONS": "silence_unsigned_overflow=1"}
        done = subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        self.assertIn("Done 1000 runs", done.stderr)
        self.assertNotIn("runtime error", done.stderr)
        self.assertEqual(bool(re.search(r"Dictionary: [1-9]\d* entries", done.stderr)), has_dictionary)

    def brings_its_libraries(self, out, name):
        for line in run("ldd", f"{out}/fuzz_{name}").stdout.splitlines():
            if not THERE.search(line.split()[0]):
                self.assertIn(f"=> {out}/lib/", line)

    def check(self, sanitizer):
        out = self.build(sanitizer)
        made = {name for name in os.listdir(out) if re.fullmatch(r"fuzz_[a-z]+", name)}
        self.assertEqual(made, {f"fuzz_{name}" for name in NAMES})
        for name in NAMES:
            with self.subTest(name):
                self.brings_its_libraries(out, name)
                self.runs(out, name)

    def test_every_target_is_built_with_address_sanitizer_and_runs(self):
        self.check("address")

    def test_every_target_is_built_with_undefined_sanitizer_and_runs(self):
        self.check("undefined")


class Dictionaries(unittest.TestCase):
    def test_each_belongs_to_a_target(self):
        there = {name[: -len(".dict")] for name in os.listdir(f"{SOURCE}/tests/fuzz/dict")}
        self.assertEqual(there - set(NAMES), {"dns"})  # what the others are links to


if __name__ == "__main__":
    unittest.main(verbosity=2)
