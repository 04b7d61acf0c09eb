"""tests/run stops at the first step that fails. The tools it calls are stand-ins that note their calls."""

import os
import shutil
import subprocess
import tempfile
import unittest

import tree

# Fails when its name and arguments contain what $FAIL_AT says.
STAND_IN = """#!/bin/bash
call="$(basename "$0") $*"
echo "$call" >>"$CALLS"
case $call in
  *"-N -R"*) echo '  Test #1: wire'; echo '  Test #2: fuzz_gguf' ;;
  ctest*) echo '100% tests passed, 0 tests failed out of 2' ;;
  *"-t targets"*) echo 'weighmaster_gguf_fuzzer: CXX_LINKER' ;;
esac
[ -z "$FAIL_AT" ] || [[ $call != *$FAIL_AT* ]]
"""


class RunScript(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top)
        self.calls = os.path.join(self.top, "calls")
        for folder in ("tests", "packaging", "bin", "build/dev", "build/asan", "build/fuzz"):
            os.makedirs(os.path.join(self.top, folder))
        shutil.copy(os.path.join(tree.root(), "tests/run"), os.path.join(self.top, "tests/run"))
        for tool in ("bin/cmake", "bin/ctest", "bin/ninja", "packaging/install-dependencies"):
            path = os.path.join(self.top, tool)
            with open(path, "w", encoding="utf-8") as file:
                file.write(STAND_IN)
            os.chmod(path, 0o755)

    def run_script(self, *arguments, fail_at=""):
        environment = dict(os.environ, CALLS=self.calls, FAIL_AT=fail_at)
        environment["PATH"] = os.path.join(self.top, "bin") + ":" + environment["PATH"]
        open(self.calls, "w", encoding="utf-8").close()
        done = subprocess.run(
            ["bash", os.path.join(self.top, "tests/run"), *arguments],
            env=environment, capture_output=True, text=True, check=False)
        with open(self.calls, encoding="utf-8") as file:
            return done, file.read()

    def test_runs_every_test_and_the_parsing_rooms_twice(self):
        done, calls = self.run_script()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.endswith("100% tests passed, 0 tests failed out of 2\n"))
        self.assertIn("ctest --test-dir build/dev -j2", calls)
        self.assertIn("weighmaster_wire_test weighmaster_gguf_fuzzer", calls)
        self.assertIn("ctest --test-dir build/asan -j2", calls)

    def test_fails_at_whatever_fails_first(self):
        for fail_at in ("install-dependencies", "--preset dev", "--build build/dev",
                        "ctest --test-dir build/dev -j2", "--preset asan", "--build build/asan",
                        "ctest --test-dir build/asan -j2"):
            with self.subTest(fail_at=fail_at):
                done, calls = self.run_script(fail_at=fail_at)
                self.assertEqual(done.returncode, 1)
                self.assertIn("tests/run: failed", done.stderr)
                self.assertIn(fail_at, calls.splitlines()[-1])

    def test_passes_a_filter_on(self):
        done, calls = self.run_script("-k", "journal")
        self.assertEqual(done.returncode, 0)
        self.assertIn("-R journal", calls)
        self.assertNotIn("asan", calls)

    def test_fails_when_a_fuzzer_breaks(self):
        program = os.path.join(self.top, "build/fuzz/tests/weighmaster_gguf_fuzzer")
        os.makedirs(os.path.dirname(program))
        for status in (0, 77):
            with open(program, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/bash\nexit {status}\n")
            os.chmod(program, 0o755)
            done, _ = self.run_script("--fuzz", "1")
            self.assertEqual(done.returncode, 1 if status else 0, done.stdout + done.stderr)

    def test_refuses_what_it_does_not_know(self):
        for arguments in (("--fast",), ("-k",), ("--fuzz", "soon")):
            done, _ = self.run_script(*arguments)
            self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()
