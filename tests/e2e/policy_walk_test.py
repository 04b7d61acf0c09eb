"""A policy over its life: suggested, wrong, mended, tested, signed away from the server, in force, changed by one digest,
excepted from, and taken back."""

import collections
import json
import os
import re
import shutil
import unittest

import fleet
import signed_events


class PolicyWalk(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.models = self.make_samples()
        self.fleet = self.make_fleet(rest=True)
        self.agent = self.fleet.add_agent([self.models])
        fleet.wait_for(self.all_verified, "the inventory of the samples")
        # The machine that signs: it has the keys, and never speaks to the server.
        self.offline = self.make_folder("offline")
        shutil.move(os.path.join(self.fleet.data, "offline-keys"), os.path.join(self.offline, "keys"))
        self.fleet_id = re.search("fleet ([0-9a-f]{32})", self.login()).group(1)
        self.document = self.path("policy.yaml")

    def login(self):
        done = self.fleet.weighctl("login", "--server", self.fleet.address, "--ca-file", self.fleet.ca_file,
                                   "--token-file", os.path.join(self.fleet.data, "admin.token"))
        return (done.stdout + done.stderr).decode()

    def all_verified(self):
        rows = self.fleet.inventory()
        return len(rows) == 7 and all(row["digest_state"] == "verified" for row in rows)

    def edit(self, old, new):
        with open(self.document, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(self.document, "w", encoding="utf-8") as out:
            out.write(text.replace(old, new, 1))

    def in_force(self, version):
        fleet.wait_for(lambda: signed_events.applied_versions(self.fleet.data)[-1:] == [version],
                       f"the endpoint's signed word that version {version} is in force")

    def sign_and_publish(self, version, floor, form=()):
        bundle = self.path("bundle")
        done = fleet.run(["weighctl", "policy", "sign", self.document, "--out", bundle, "--fleet", self.fleet_id,
                          "--version", str(version), "--floor", str(floor),
                          "--key", os.path.join(self.offline, "keys", "policy.key"), *form],
                         {"WEIGHCTL_PROFILE": os.path.join(self.offline, "no-profile")})
        self.assertEqual(0, done.returncode, done.stderr)
        if form:
            with open(bundle, encoding="utf-8") as file:
                self.assertEqual(200, self.fleet.rest("/v1/policies", "POST", json.load(file))[0])
        else:
            self.fleet.ask("policy", "publish", bundle)
        self.in_force(version)

    def simulate(self, document):
        return json.loads(self.fleet.ask("policy", "simulate", document, "--json"))

    def models_by_rule(self):
        counts = collections.Counter(row["rule"] for row in self.fleet.inventory())
        return {rule: str(count) for rule, count in counts.items()}

    def verdicts(self):
        return {name: row["verdict"] for name, row in self.fleet.by_name().items()}

    def wait_for_verdict(self, name, verdict, seconds=fleet.PATIENCE_S):
        fleet.wait_for(lambda: self.verdicts()[name] == verdict, f"{verdict} of {name}", seconds)

    def test_a_policy_lives(self):
        in_the_way = self.path("policy-approved.txt")
        with open(in_the_way, "x", encoding="utf-8"):
            pass
        done = self.fleet.weighctl("policy", "suggest", "--from-inventory", "--out", self.document)
        self.assertEqual(1, done.returncode)
        self.assertIn(in_the_way.encode(), done.stderr)
        self.assertFalse(os.path.exists(self.document), "both files or neither")
        os.remove(in_the_way)
        self.fleet.ask("policy", "suggest", "--from-inventory", "--out", self.document)
        self.edit("then: warn\n    message: This file can run", "then: denied\n    message: This file can run")
        done = self.fleet.weighctl("policy", "lint", self.document)
        self.assertEqual(1, done.returncode)
        self.assertIn(b'known values: allow, warn, deny', done.stderr)
        self.edit("then: denied", "then: deny")
        self.assertIn("0 errors, 0 warnings", self.fleet.ask("policy", "lint", self.document))

        with open(self.path("policy.test.yaml"), "w", encoding="utf-8") as out:
            out.write("cases:\n"
                      "- {name: danger, given: {risk: malformed}, expect: {verdict: allow, rule: dangerous}}\n")
        done = self.fleet.weighctl("policy", "test", self.document)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"the verdict is deny, not allow", done.stdout)
        with open(self.path("policy.test.yaml"), "w", encoding="utf-8") as out:
            out.write("cases:\n"
                      "- {name: danger, given: {risk: malformed}, expect: {verdict: deny, rule: dangerous}}\n")
        self.assertIn("1 of 1 cases pass", self.fleet.ask("policy", "test", self.document))

        simulation = self.simulate(self.document)
        self.assertEqual("7", simulation["sightings"])
        self.assertEqual({"OUTCOME_ALLOW"}, {change["from"] for change in simulation["transitions"]})
        self.sign_and_publish(1, floor=0)
        self.wait_for_verdict("downloaded-from-a-forum.bin", "deny")
        self.assertEqual({row["rule"]: row["then"] for row in simulation["rules"] if row["then"] != "0"},
                         self.models_by_rule(), "the endpoint says what the simulation said")
        self.assertEqual("0", self.simulate(self.document)["changed"])
        allowed = [name for name, verdict in self.verdicts().items() if verdict == "allow"]
        self.assertIn("novelist-nc.gguf", allowed)

        # One digest less on the approved list.
        before = self.path("before.yaml")
        shutil.copy(self.document, before)
        approved = self.path("policy-approved.txt")
        shutil.copy(approved, self.path("before-approved.txt"))
        with open(before, encoding="utf-8") as file:
            text = file.read().replace("policy-approved.txt", "before-approved.txt")
        with open(before, "w", encoding="utf-8") as out:
            out.write(text)
        digest = self.fleet.by_name()["novelist-nc.gguf"]["sha256"]
        with open(approved, encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith(digest)]
        with open(approved, "w", encoding="utf-8") as out:
            out.writelines(lines)
        self.edit("cc-by-nc-4.0", "mit")
        changes = self.fleet.ask("policy", "diff", before, self.document)
        self.assertIn("approved: 0 added, 1 removed", changes)
        self.assertIn(digest, changes)
        # Names of digests do not travel; all else that a published policy means is what its document says.
        self.assertEqual(changes.replace(digest + " Novelist", digest),
                         self.fleet.ask("policy", "diff", "--version", "1", self.document))
        simulated = self.fleet.ask("policy", "simulate", self.document)
        self.assertIn("From allow to warn:", simulated)
        self.assertIn("novelist-nc.gguf", simulated)
        self.assertIn("1 of 7 models would have another verdict, 0 another mode, 1 another severity, on 1 endpoints.",
                      simulated)
        self.sign_and_publish(2, floor=1)
        self.wait_for_verdict("novelist-nc.gguf", "warn")

        # An exception, which ends with nobody there.
        row = self.fleet.by_name()["novelist-nc.gguf"]
        self.fleet.ask("exceptions", "grant", "--endpoint", row["endpoint_id"], "--sha256", digest, "--overrides",
                       row["rule"], "--reason", "For the review of this week.", "--for", "12s", "--key",
                       os.path.join(self.offline, "keys", "exceptions.key"))
        self.wait_for_verdict("novelist-nc.gguf", "allow")
        self.fleet.server.stop()
        path = os.path.join(self.models, "novelist-nc.gguf")
        fleet.wait_for(lambda: b"verdict       warn" in self.agent.weighmaster("why", path).stdout,
                       "the end of the exception, offline")
        self.fleet.start()
        self.wait_for_verdict("novelist-nc.gguf", "warn", seconds=fleet.RETURN_PATIENCE_S)

        back = json.loads(self.fleet.ask("policy", "simulate", "--version", "1", "--json"))
        self.assertEqual("1", back["changed"])

        # Back to what version 1 said: its text, under a higher number.
        shutil.copy(before, self.document)
        self.sign_and_publish(3, floor=2, form=["--json"])
        self.wait_for_verdict("novelist-nc.gguf", "allow")

        # And forward again, by what the server holds of version 2 and nobody else needs to have kept.
        self.fleet.ask("policy", "sign", "--again", "2", "--out", self.path("again"),
                       "--key", os.path.join(self.offline, "keys", "policy.key"))
        self.fleet.ask("policy", "publish", self.path("again"))
        self.in_force(4)
        self.wait_for_verdict("novelist-nc.gguf", "warn")
        self.assertEqual([1, 2, 3, 4], signed_events.applied_versions(self.fleet.data))

    def filtered(self, condition):
        return fleet.json_lines(self.fleet.ask("inventory", "--json", "--filter", condition))

    def write_document(self, mode, licence_sent):
        with open(self.document, "w", encoding="utf-8") as out:
            out.write(f"policy: watched\nmode: {mode}\ncollect: {{license: {licence_sent}}}\nrules:\n"
                      "  - {id: watch-nc, audit: true, when: {license: cc-by-nc-4.0}, then: deny, message: No.}\n"
                      "default: {then: warn, message: Not cleared.}\n")

    def test_what_changes_no_outcome_is_seen_before_and_after(self):
        self.write_document("observe", "false")
        simulated = self.fleet.ask("policy", "simulate", self.document)
        self.assertRegex(simulated, r"AUDIT RULE +WOULD DECIDE\nwatch-nc +1\n")
        self.assertNotIn("withheld", simulated)
        self.sign_and_publish(1, floor=0)
        self.wait_for_verdict("novelist-nc.gguf", "warn")
        listed = self.filtered("audit = watch-nc AND mode = observe AND severity = medium AND step = default")
        self.assertEqual(["novelist-nc.gguf"], [os.path.basename(row["path"]) for row in listed])
        self.assertEqual(["watch-nc"], listed[0]["audits"])
        self.assertIsNone(listed[0]["license"], "the endpoint keeps it, and judges by it")
        self.assertTrue(self.fleet.ask("verdicts").startswith("AUDIT RULE  WOULD DECIDE\nwatch-nc               1\n\n"))
        self.assertEqual(["watch-nc=1"], json.loads(self.fleet.ask("verdicts", "--json"))["audits"])

        self.write_document("enforce", "true")
        simulated = self.fleet.ask("policy", "simulate", self.document)
        self.assertRegex(simulated, r"MODE NOW +MODE THEN +MODELS\nobserve +enforce +7\n")
        self.assertIn("Mode from observe to enforce:", simulated)
        self.assertIn("0 of 7 models would have another verdict, 7 another mode, 0 another severity, on 1 endpoints.",
                      simulated)
        self.assertIn("license is withheld by the policy in force on 1 endpoints", simulated)
        simulation = self.simulate(self.document)
        self.assertEqual([{"field": "license", "endpoints": "1"}], simulation["withheld"])
        self.assertEqual([{"rule": "watch-nc", "sightings": "0"}], simulation["audits"])
        self.sign_and_publish(2, floor=1)
        fleet.wait_for(lambda: len(self.filtered("mode = enforce")) == 7, "all verdicts in the new mode")


if __name__ == "__main__":
    unittest.main()
