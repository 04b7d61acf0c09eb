"""An exception: granted away from the server's keys, in force within seconds, ended with the endpoint offline."""

import os
import unittest

import fleet

POLICY = ("policy: closed\nrules:\n"
          "- {id: too-new, when: {size: {at_least: 1}}, then: deny, message: It is too new.}\n")


class Exceptions(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        models = self.make_folder("models")
        for name in ("wanted.gguf", "other.gguf"):
            fleet.write_file(os.path.join(models, name), fleet.gguf(name))
        self.wanted = os.path.join(models, "wanted.gguf")
        self.agent = self.fleet.add_agent([models])
        self.agent.wait_until_delivered()
        self.fleet.publish(POLICY)
        self.wait_for_verdict("deny", "too-new")
        self.endpoint = self.fleet.inventory()[0]["endpoint_id"]
        self.key = os.path.join(self.fleet.data, "offline-keys", "exceptions.key")

    def row(self):
        return self.fleet.by_name()["wanted.gguf"]

    def wait_for_verdict(self, verdict, rule=None, seconds=fleet.PATIENCE_S):
        fleet.wait_for(lambda: self.row()["verdict"] == verdict and rule in (None, self.row()["rule"]),
                       f"{verdict} by {rule}", seconds)

    def grant(self, *words):
        return self.fleet.weighctl("exceptions", "grant", "--sha256", self.row()["sha256"], "--reason",
                                   "Legal has looked at it.", "--key", self.key, *words)

    def why(self):
        done = self.agent.weighmaster("why", self.wanted)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.decode()

    def test_of_a_rule_that_no_policy_has_is_refused_unless_forced(self):
        words = ("--endpoint", self.endpoint, "--overrides", "too-nwe")
        done = self.grant(*words)
        self.assertEqual(1, done.returncode, done)
        self.assert_one_line(done.stderr.decode(), 'has no rule "too-nwe"; it has too-new', "--force")
        self.assertEqual("0 exceptions.\n", self.fleet.ask("exceptions", "list"))
        done = self.grant(*words, "--force")
        self.assertEqual(0, done.returncode, done)
        self.assertIn(b'warning: version 1, the newest policy, has no rule "too-nwe"', done.stderr)
        self.assertIn("too-nwe", self.fleet.ask("exceptions", "list"))
        for always in ("denied", "default"):
            self.assertEqual(0, self.grant("--endpoint", self.endpoint, "--overrides", always).returncode)

    def test_it_is_granted_seen_and_ends_by_itself(self):
        done = self.grant("--endpoint", self.endpoint, "--overrides", "too-new", "--for", "15s")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"sent to 1 connected endpoints", done.stderr)
        granted = done.stdout.decode().strip()
        self.wait_for_verdict("allow", granted)
        self.assertEqual("exception", self.row()["step"])
        self.assertEqual("Legal has looked at it.", self.row()["reason"])
        self.assertEqual("deny", self.fleet.by_name()["other.gguf"]["verdict"])
        self.assertRegex(self.fleet.ask("exceptions", "list"),
                         rf"(?m)^{self.endpoint}  {granted} .* Legal has looked at it\.  \d{{4}}-\S+Z  init +never$")
        ended = self.fleet.ask("exceptions", "list", "--all", "--as-of", "2020-01-01", "--csv")
        self.assertEqual(1, len(ended.splitlines()), "nothing was granted by then")
        self.fleet.server.stop()
        self.assertIn("until", self.why())
        fleet.wait_for(lambda: "decided by    too-new" in self.why(), "the end, with no server there")
        self.fleet.start()
        self.wait_for_verdict("deny", "too-new", fleet.RETURN_PATIENCE_S)
        self.assertIn("0 exceptions", self.fleet.ask("exceptions", "list"))

    def test_the_person_sees_it_also_where_another_rule_still_catches_the_file(self):
        self.fleet.publish(POLICY + "- {id: too-big, when: {size: {at_least: 2}}, then: warn, message: Too big.}\n")
        done = self.grant("--endpoint", self.endpoint, "--overrides", "too-new")
        self.assertEqual(0, done.returncode, done.stderr)
        self.wait_for_verdict("warn", "too-big")
        self.assertRegex(self.why(), f" exception +{done.stdout.decode().strip()} overrides too-new until [-0-9T:]+Z "
                                     r"\(Legal has looked at it\.\); decided all the same by too-big\n")

    def test_it_is_taken_back_and_carried_over_only_by_who_signed_it(self):
        granted = self.grant("--endpoint", self.endpoint, "--overrides", "too-new").stdout.decode().strip()
        self.wait_for_verdict("allow", granted)
        stranger = self.path("stranger.key")
        with open(os.path.join(self.fleet.data, "offline-keys", "policy.key"), "rb") as key:
            fleet.write_file(stranger, key.read())
        os.chmod(stranger, 0o600)
        done = self.fleet.weighctl("exceptions", "revoke", granted, "--endpoint", self.endpoint, "--key", stranger)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"not signed by this key", done.stderr)
        done = self.fleet.weighctl("exceptions", "revoke", granted, "--endpoint", self.endpoint, "--key", stranger,
                                   "--root", os.path.join(self.fleet.data, "root.signed"))
        self.assertEqual(1, done.returncode)
        self.assertIn(b"not signed by enough keys", done.stderr)
        self.fleet.ask("exceptions", "revoke", granted, "--endpoint", self.endpoint, "--key", self.key)
        self.wait_for_verdict("deny", "too-new")

    def test_one_for_a_user_holds_everywhere_and_a_wrong_wish_says_why(self):
        owner = self.row()["owner"]
        done = self.grant("--user", owner, "--overrides", "too-new")
        self.assertEqual(0, done.returncode, done.stderr)
        self.wait_for_verdict("allow")
        for words, problem in ((("--endpoint", self.endpoint, "--overrides", "blocked"), b"nothing overrides"),
                               (("--overrides", "too-new"), b"say who may"),
                               (("--endpoint", self.endpoint), b"--overrides"),
                               (("--endpoint", self.endpoint, "--overrides", "too-new", "--for", "31d"), b"30 days"),
                               (("--endpoint", "0" * 32, "--overrides", "too-new"), b"no endpoint")):
            done = self.grant(*words)
            self.assertEqual(1 if "--overrides" in words else 2, done.returncode, words)
            self.assertIn(problem, done.stderr)


if __name__ == "__main__":
    unittest.main()
