"""The root of trust changes: another policy key, a threshold of two, and a key that was stolen."""

import os
import shutil
import unittest

import fleet
import signed_events

ALLOW = "policy: {name}\ndefault: {{then: allow}}\n"


class RootChange(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.agent = self.fleet.add_agent([self.make_folder("models")])
        # The ceremony takes place where no server is.
        self.keys = self.path("keys")
        shutil.move(os.path.join(self.fleet.data, "offline-keys"), self.keys)
        shutil.copy(os.path.join(self.fleet.data, "root.signed"), self.key("root.1"))

    def key(self, name):
        return os.path.join(self.keys, name)

    def offline(self, *words, code=0):
        """What a machine says that has keys and no login."""
        done = fleet.run(["weighctl", *words], {"WEIGHCTL_PROFILE": self.path("no-profile")})
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return (done.stdout if code == 0 else done.stderr).decode()

    def next_root(self, version, *changes, signers=("root.key",)):
        """Root `version` from the one before, signed, and its file."""
        before, after = self.key(f"root.{version - 1}"), self.key(f"root.{version}")
        self.offline("root", "next", before, "--out", after, *changes)
        for signer in signers:
            told = self.offline("root", "sign", after, "--root", before, "--key", self.key(signer))
        self.assertIn("It is whole", told)
        return after

    def adopt(self, root, code=0):
        """What the program says on standard error. The server stands still meanwhile."""
        words = ["weighmaster-server", "adopt-root", "--data", self.fleet.data, "--root", root]
        refused = fleet.run(words)
        self.assertEqual(1, refused.returncode)
        self.assert_one_line(refused.stderr.decode(), "another server")
        self.assertEqual(0, self.fleet.server.stop())
        done = fleet.run(words)
        self.assertEqual(code, done.returncode, done.stderr)
        self.fleet.start()
        return done.stderr.decode()

    def write(self, name):
        path = self.path(name + ".yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(ALLOW.format(name=name))
        return path

    def sign(self, name, key, *options):
        self.fleet.ask("policy", "sign", self.write(name), "--out", self.path("bundle"), "--key", self.key(key),
                       *options)
        return self.path("bundle")

    def in_force(self, version):
        fleet.wait_for(lambda: signed_events.applied_versions(self.fleet.data)[-1:] == [version],
                       f"the endpoint's signed word that version {version} is in force")

    def key_id(self, name):
        return self.offline("key", "show", self.key(name)).strip()

    def test_two_keys_sign_policy(self):
        self.offline("key", "new", self.key("second.key"))
        added = f"policy={self.key('second.key.pub')}"
        told = self.offline("root", "next", self.key("root.1"), "--out", self.key("root.2"), "--add", added,
                            "--threshold", "policy=3", code=1)
        self.assert_one_line(told, "policy", "3 of 2")
        root = self.next_root(2, "--add", added, "--threshold", "policy=2")
        self.adopt(root)
        shown = self.fleet.ask("root", "show")
        self.assertIn(self.key_id("second.key"), shown)
        self.assertIn("Root 2 of the fleet", shown)

        bundle = self.sign("two", "policy.key")
        refused = self.fleet.weighctl("policy", "publish", bundle)
        self.assertEqual(1, refused.returncode)
        self.assertIn(b"bad_signature", refused.stderr)
        told = self.offline("policy", "sign", bundle, "--cosign", "--out", bundle, "--key", self.key("second.key"),
                            "--root", root)
        self.assertIn("2 signature(s)", told)
        again = self.offline("policy", "sign", bundle, "--cosign", "--out", bundle, "--key", self.key("second.key"))
        self.assertIn("2 signature(s)", again)
        self.fleet.ask("policy", "publish", bundle)
        self.in_force(1)

    def test_a_stolen_policy_key_is_taken_away(self):
        self.fleet.ask("policy", "publish", self.sign("honest", "policy.key"))
        self.in_force(1)
        # The thief goes as far ahead as he can, and forbids whatever is below.
        self.fleet.ask("policy", "publish",
                       self.sign("thief", "policy.key", "--version", "1000001", "--floor", "1000001"))
        self.in_force(1000001)
        too_far = self.fleet.weighctl("policy", "publish", self.sign(
            "thief", "policy.key", "--version", "9223372036854775807", "--floor", "1000001"))
        self.assert_one_line(too_far.stderr.decode(), "more than 1000000 above")

        self.offline("key", "new", self.key("new.key"))
        self.adopt(self.next_root(2, "--add", f"policy={self.key('new.key.pub')}",
                                  "--remove", f"policy={self.key_id('policy.key')[:12]}"))
        refused = self.fleet.weighctl("policy", "sign", self.write("thief"), "--out", self.path("stolen"),
                                      "--key", self.key("policy.key"))
        self.assert_one_line(refused.stderr.decode(), "none of the role", "root 2")
        # The first policy was signed by that key too, and its number is not given again.
        self.fleet.ask("policy", "publish", self.sign("mended", "new.key"))
        self.in_force(2)

    def test_root_keys_change(self):
        self.offline("key", "new", self.key("root2.key"))
        self.next_root(2, "--add", f"root={self.key('root2.key.pub')}",
                       "--remove", f"root={self.key_id('root.key')}", signers=("root.key", "root2.key"))
        half = self.key("half")
        self.offline("root", "next", self.key("root.1"), "--out", half,
                     "--add", f"root={self.key('root2.key.pub')}")
        self.assertIn("signed by enough", self.adopt(half, code=1))
        self.offline("root", "sign", half, "--root", self.key("root.1"), "--key", self.key("policy.key"), code=1)
        self.adopt(self.key("root.2"))
        self.adopt(self.next_root(3, "--valid-for", "365d", signers=("root2.key",)))
        fleet.wait_for(self.agent.is_delivered, "the endpoint following two roots")
        late = self.fleet.add_agent([self.make_folder("late")], name="late")
        fleet.wait_for(late.is_delivered, "an endpoint that enrols under root 3")

    def test_a_root_without_the_servers_key_is_refused(self):
        self.offline("key", "new", self.key("other.key"))
        server_key = next(line.split()[-1] for line in self.fleet.ask("root", "show").splitlines()
                          if line.startswith("server"))
        root = self.next_root(2, "--add", f"server={self.key('other.key.pub')}", "--remove", f"server={server_key}")
        self.assert_one_line(self.adopt(root, code=1), "ack.key", "server")

    def test_a_bundle_that_is_good_outlives_a_signing_that_fails(self):
        bundle = self.sign("good", "policy.key")
        with open(bundle, "rb") as file:
            before = file.read()
        for wrong in (["--valid-for", "0s"], ["--key", self.key("root.key")]):
            done = self.fleet.weighctl("policy", "sign", self.write("good"), "--out", bundle,
                                       *(["--key", self.key("policy.key")] if "--key" not in wrong else []), *wrong)
            self.assertEqual(1, done.returncode)
            with open(bundle, "rb") as file:
                self.assertEqual(before, file.read())


if __name__ == "__main__":
    unittest.main()
