"""The whole path through the public commands: enrol, scan, store, publish, judged again, revoked."""

import hashlib
import os
import re
import shutil
import unittest

import fleet

DENY_CODE = """
policy: strict
rules:
  - id: files-that-run-code
    always: true
    when: {risk_severity: {at_least: high}}
    then: deny
    message: Loading this file can run a program.
  - id: not-for-business
    when: {license: {contains: "-nc"}}
    then: warn
    message: This licence does not allow commercial use.
"""
ALLOW_ALL = """
policy: open
default: {then: allow}
"""


class Walk(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.models = self.make_samples()
        self.fleet = self.make_fleet()
        self.agent = self.fleet.add_agent([self.models])
        fleet.wait_for(self.all_verified, "the inventory of the samples")

    def all_verified(self):
        rows = self.fleet.inventory()
        return len(rows) == 7 and all(row["digest_state"] == "verified" for row in rows) and rows

    def model(self, name):
        return os.path.join(self.models, name)

    def digest(self, name):
        with open(self.model(name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def wait_for_verdict(self, name, verdict):
        fleet.wait_for(lambda: self.fleet.by_name()[name]["verdict"] == verdict,
                       f"the verdict {verdict} of {name}")

    def test_the_inventory_says_what_is_there(self):
        for row in self.fleet.inventory():
            self.assertEqual(self.digest(os.path.basename(row["path"])), row["sha256"])
            self.assertEqual(os.path.getsize(row["path"]), row["size_bytes"])
            self.assertTrue(row["present"])
        by_name = self.fleet.by_name()
        self.assertEqual("llama", by_name["assistant-small.gguf"]["architecture"])
        self.assertEqual("cc-by-nc-4.0", by_name["novelist-nc.gguf"]["license"])
        self.assertEqual("onnx", by_name["ranker.onnx"]["format"])
        self.assertTrue({"high", "critical"}.intersection(
            risk["severity"] for risk in by_name["downloaded-from-a-forum.bin"]["risks"]))

        text = self.fleet.ask("inventory")
        for name, row in by_name.items():
            self.assertRegex(text, f"{row['sha256'][:12]} .*{name}")
        self.assertIn("7 model files. Of 1 endpoints 1 were looked at whole.", text)

        places = fleet.json_lines(
            self.fleet.ask("where", self.digest("assistant-small.gguf"), "--json"))
        self.assertEqual({self.model("assistant-small.gguf"), self.model("renamed-copy.dat")},
                         {place["path"] for place in places})
        self.assertIn("2 places on 1 endpoints",
                      self.fleet.ask("where", self.digest("assistant-small.gguf")))
        self.assertIn("0 places on 0 endpoints", self.fleet.ask("where", "0" * 64))

    def test_a_published_policy_changes_verdicts_and_goes_back(self):
        self.assertEqual(
            {"allow"}, {row["verdict"] for row in self.fleet.inventory()})
        self.assertIn("offered to 1 connected endpoint", self.fleet.publish(DENY_CODE))
        first_bundle = shutil.copy(self.fleet.bundle, self.path("first.bundle"))
        bad = "downloaded-from-a-forum.bin"
        self.wait_for_verdict(bad, "deny")
        self.wait_for_verdict("novelist-nc.gguf", "warn")
        row = self.fleet.by_name()[bad]
        self.assertEqual("files-that-run-code", row["rule"])
        self.assertEqual(1, row["policy_version"])
        self.assertEqual("allow", self.fleet.by_name()["ranker.onnx"]["verdict"])

        findings = self.fleet.ask("findings")
        self.assertIn("denied_model", findings)
        self.assertIn(bad, findings)
        self.assert_local_answers(bad)

        self.fleet.publish(ALLOW_ALL)
        self.wait_for_verdict(bad, "allow")
        self.assertIn("version 2", self.agent.status()["policy"])
        self.wait_until_shown("^Version 2, .* floor 1, in force on 1 of 1 endpoints")
        self.assertIn("policy: open", self.fleet.ask("policy", "show"))
        self.assertIn("policy: strict", self.fleet.ask("policy", "show", "--version", "1"))

        # Back in content, forward in number: what the signer decides is what holds.
        self.fleet.publish(DENY_CODE, "--floor", "3")
        self.wait_for_verdict(bad, "deny")
        # A bundle that was published before is no way back: the newest stays in force.
        self.fleet.weighctl("policy", "publish", first_bundle)
        self.wait_until_shown("^Version 3, .* floor 3, in force on 1 of 1 endpoints")
        self.assertIn("version 3", self.agent.status()["policy"])

    def wait_until_shown(self, pattern):
        """The verdicts arrive before the event that a policy is in force."""
        fleet.wait_for(lambda: re.search(pattern, self.fleet.weighctl("policy", "show").stderr.decode()),
                       f'"policy show" saying {pattern}')

    def assert_local_answers(self, bad):
        status = self.agent.status()
        self.assertTrue(status["server"].startswith("connected to " + self.fleet.address))
        self.assertEqual("version 1", status["policy"])
        self.assertIn("7 (5 allowed, 1 warned, 1 denied; 0 not hashed yet)", status["models"])
        self.assertIn(self.models + ": looked", status["coverage"])

        check = self.agent.weighmaster("check", self.model(bad), self.model("ranker.onnx"))
        self.assertEqual(3, check.returncode)
        self.assertRegex(check.stdout.decode(), r"deny .*forum\.bin: Loading this file can run a program\.")
        self.assertRegex(check.stdout.decode(), r"allow .*ranker\.onnx")
        # One that there is no answer for does not keep back the others'. Root is told that the agent knows of no
        # model there; other users only that it is none of theirs.
        unknown = self.agent.weighmaster("check", self.model("nothing"), self.model("ranker.onnx"))
        self.assertEqual(1, unknown.returncode)
        self.assertRegex(unknown.stdout.decode(), r"^unknown  .*/nothing: .*\nallow .*ranker\.onnx")

        why = self.agent.weighmaster("why", self.model(bad))
        self.assertEqual(0, why.returncode)
        for words in (self.digest(bad), "verdict       deny", "files-that-run-code (always"):
            self.assertIn(words, why.stdout.decode())
        self.assertEqual(1, self.agent.weighmaster("why", self.model("nothing")).returncode)

        doctor = self.agent.weighmaster("doctor").stdout.decode()
        for words in ("agent     weighmaster-agent", "server    connected to", "policy    version 1",
                      "journal   can be written", "1 of 1 roots were looked at whole"):
            self.assertIn("ok      " + words if words[0] != "1" else words, doctor)

    def test_new_and_deleted_files_are_noticed(self):
        content = fleet.gguf("Newcomer")
        fleet.write_file(self.model("new.gguf"), content)
        os.remove(self.model("ranker.onnx"))
        fleet.wait_for(
            lambda: self.fleet.by_name().get("new.gguf", {}).get("digest_state") == "verified",
            "the new file being hashed")
        self.assertEqual(hashlib.sha256(content).hexdigest(), self.fleet.by_name()["new.gguf"]["sha256"])
        fleet.wait_for(lambda: "ranker.onnx" not in self.fleet.by_name(), "the file being gone")
        gone = [row["path"] for row in self.fleet.inventory("--all") if not row["present"]]
        self.assertIn(self.model("ranker.onnx"), gone)

        with open(self.model("new.gguf"), "ab") as file:
            file.write(b"more")
        changed = hashlib.sha256(content + b"more").hexdigest()
        fleet.wait_for(lambda: self.fleet.by_name()["new.gguf"]["sha256"] == changed,
                       "the changed file being hashed again")

    def test_a_revoked_endpoint_keeps_its_policy_and_is_not_believed(self):
        self.fleet.publish(DENY_CODE)
        self.wait_for_verdict("downloaded-from-a-forum.bin", "deny")
        endpoint = self.fleet.endpoint_line().split()[0]
        self.fleet.ask("revoke", endpoint, "--reason", "lost")
        fleet.wait_for(lambda: "was revoked" in self.agent.server_line, "the refusal")
        self.assertTrue(self.agent.server_line.startswith("not connected to"))
        self.assertIn(" revoked ", self.fleet.endpoint_line())
        shown = self.fleet.ask("endpoint", "show", endpoint)
        self.assertRegex(shown, r"(?m)^key +[0-9a-f]{64}, since 2")
        self.assertRegex(shown, r"(?m)^revoked +2.*: lost$")
        self.assertRegex(shown, r"(?m)^coverage +artifacts /")
        self.assertIn("0 model files. No endpoint is enrolled that is not revoked.", self.fleet.ask("inventory"))
        self.assertIn("0 denied, 0 warned of, 0 allowed", self.fleet.ask("verdicts"))
        self.assertIn("2 places on 1 endpoints. It is in none of them now.",
                      self.fleet.ask("where", self.digest("assistant-small.gguf"), "--all"))
        self.assertIn("0 model files. No endpoint was enrolled then that was not revoked.",
                      self.fleet.ask("inventory", "--as-of", "2020-01-01"))

        # It goes on looking and judging, by the policy that it has.
        fleet.write_file(self.model("later.gguf"), fleet.gguf("Later"))
        fleet.wait_for(
            lambda: self.agent.weighmaster("check", self.model("later.gguf")).returncode == 0,
            "the agent judging a new file")
        self.assertEqual("version 1", self.agent.status()["policy"])

        # Also one that comes back anew is refused at once, and nothing of it counts.
        self.agent.stop()
        self.agent.start()
        fleet.wait_for(lambda: "was revoked" in self.agent.server_line, "the second refusal")
        self.assertNotIn("later.gguf", self.fleet.by_name())
        self.assertTrue(self.agent.is_running)
        self.assertEqual(1, self.fleet.weighctl("revoke", "f" * 32).returncode)


if __name__ == "__main__":
    unittest.main()
