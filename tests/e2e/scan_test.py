"""`weighmaster scan`: alone, with no agent and no server, fit for a build pipeline."""

import hashlib
import os
import pty
import select
import subprocess
import time
import unittest
import zipfile

import fleet
import kills

FIELDS = {"path", "format", "size_bytes", "sha256", "digest_state", "name", "architecture",
          "parameters", "quantization", "license", "risks", "verdict", "rule", "reason"}
POLICY = """
policy: pipeline
rules:
  - id: damaged
    always: true
    when: {risk: malformed}
    then: deny
    message: This file is damaged.
  - id: runs-code
    always: true
    when: {risk_severity: {at_least: high}}
    then: deny
    message: This file runs code.
  - id: not-for-business
    when: {license: {contains: "-nc"}}
    then: warn
"""
# protocol 0: os.system("echo …"); it is only ever read here.
PICKLE = b"cposix\nsystem\n(Vecho a model file ran this\ntR."


class Scan(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.models = self.make_samples()
        self.policy = self.path("policy.yaml")
        with open(self.policy, "w", encoding="utf-8") as out:
            out.write(POLICY)

    def model(self, name):
        return os.path.join(self.models, name)

    def scan(self, *words):
        return fleet.run(["weighmaster", "scan", *words])

    def rows(self, *words):
        rows = fleet.json_lines(self.scan("--json", *words).stdout)
        return {os.path.basename(row["path"]): row for row in rows}

    def test_makes_nobody_wait_for_the_disk(self):
        if problem := kills.why_not():
            self.skipTest(problem)
        log = self.path("strace.log")
        done = fleet.run(["weighmaster", "scan", self.models],
                         prefix=["strace", "-f", "-o", log, "-e", "trace=openat,openat2,fsync,fdatasync,sync"])
        self.assertEqual(0, done.returncode, done.stderr)
        with open(log, encoding="utf-8") as calls:
            calls = calls.read()
        self.assertIn("open", calls)
        self.assertNotIn("sync(", calls)

    def test_the_json_lines_hold_the_documented_fields(self):
        rows = self.rows(self.models)
        self.assertEqual(set(os.listdir(self.models)), set(rows))
        for name, row in rows.items():
            self.assertLessEqual(FIELDS, set(row))
            self.assertEqual("verified", row["digest_state"])
            with open(self.model(name), "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), row["sha256"])
            for risk in row["risks"]:
                self.assertEqual({"id", "severity", "message", "evidence"}, set(risk))
        gguf = rows["assistant-small.gguf"]
        self.assertEqual(("gguf", "Assistant Small", "llama", 65536, "apache-2.0"),
                         (gguf["format"], gguf["name"], gguf["architecture"], gguf["parameters"],
                          gguf["license"]))
        risks = rows["downloaded-from-a-forum.bin"]["risks"]
        self.assertTrue(any("system" in (risk["evidence"] or "") for risk in risks), risks)

    def test_the_exit_code_says_what_was_found(self):
        good, warned = self.model("ranker.onnx"), self.model("novelist-nc.gguf")
        bad = self.model("downloaded-from-a-forum.bin")
        by_policy = ["--policy", self.policy]
        for code, words in (
                (0, [good]), (0, [bad]),  # the starter policy only warns
                (3, ["--fail-on", "warn", bad]),
                (0, [*by_policy, good, warned]), (3, [*by_policy, "--fail-on", "warn", warned]),
                (3, [*by_policy, good, bad]), (3, [*by_policy, "--json", self.models]),
                (1, [self.path("nowhere")]), (3, [*by_policy, self.path("nowhere"), bad]),
                (2, []), (2, ["--wrong", good]), (2, ["--fail-on", "allow", good]),
                (2, ["--policy"])):
            with self.subTest(words):
                done = self.scan(*words)
                self.assertEqual(code, done.returncode, done)

    def test_what_could_not_be_looked_at_is_said(self):
        done = self.scan(self.path("nowhere"), self.model("ranker.onnx"))
        self.assertEqual(1, done.returncode)
        self.assert_one_line(done.stderr.decode(), "weighmaster: ", self.path("nowhere"),
                             "could not be looked at")
        self.assertIn(b"ranker.onnx", done.stdout)

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_an_unreadable_file_is_said(self):
        os.chmod(self.model("ranker.onnx"), 0)
        done = self.scan(self.models)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"in part", done.stderr)

    def test_a_policy_with_errors_judges_nothing(self):
        with open(self.policy, "a", encoding="utf-8") as out:
            out.write("  - id: runs-code\n    when: {size: large}\n    then: deny\n")
        done = self.scan("--policy", self.policy, self.models)
        self.assertEqual(2, done.returncode)
        self.assertEqual(b"", done.stdout)
        self.assertRegex(done.stderr.decode(), rf"{self.policy}:\d+:\d+: error: ")
        self.assertEqual(1, self.scan("--policy", self.path("nowhere"), self.models).returncode)

    def test_hostile_files_are_judged_quickly(self):
        hostile = self.make_folder("hostile")
        with open(self.model("assistant-small.gguf"), "rb") as file:
            cut = file.read(200)
        with open(self.model("embedding.safetensors"), "rb") as file:
            lying = (2**62).to_bytes(8, "little") + file.read()[8:]
        for name, content in {
                "many.gguf": fleet.gguf("Many", tensors=2**63), "cut.gguf": cut,
                "lying.safetensors": lying, "system.pkl": PICKLE}.items():
            fleet.write_file(os.path.join(hostile, name), content)
        start = time.monotonic()
        rows = self.rows("--policy", self.policy, hostile)
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual("safetensors", rows["lying.safetensors"]["format"])
        for name in ("many.gguf", "cut.gguf", "lying.safetensors"):
            self.assertEqual(("deny", "damaged"), (rows[name]["verdict"], rows[name]["rule"]))
            self.assertIn("malformed", {risk["id"] for risk in rows[name]["risks"]})
        self.assertEqual(("deny", "runs-code"),
                         (rows["system.pkl"]["verdict"], rows["system.pkl"]["rule"]))

    def test_what_only_begins_like_a_model_is_none(self):
        folder = self.make_folder("documents")
        with zipfile.ZipFile(os.path.join(folder, "letter.docx"), "w") as document:
            document.writestr("word/document.xml", "<document/>" * 10_000)
        fleet.write_file(os.path.join(folder, "numbers.txt"), b"I1\n" * 30_000)
        self.assertEqual({}, self.rows(folder))

    def test_the_progress_bar_is_for_terminals_only(self):
        self.assertEqual(b"", self.scan(self.models).stderr)
        leader, follower = pty.openpty()
        with subprocess.Popen([fleet.program("weighmaster"), "scan", self.models],
                              stdout=subprocess.PIPE, stderr=follower) as child:
            os.close(follower)
            drawn = b""
            while select.select([leader], [], [], fleet.PATIENCE_S)[0]:
                try:
                    read = os.read(leader, 4096)
                except OSError:  # EIO: the last one who had the terminal is gone
                    break
                drawn += read
            table = child.stdout.read()
        os.close(leader)
        self.assertIn(b"hashed, ", drawn)
        self.assertTrue(drawn.endswith(b"\r\x1b[K"), drawn)
        self.assertNotIn(b"\x1b", table)
        self.assertIn(b"7 models: ", table)


if __name__ == "__main__":
    unittest.main()
