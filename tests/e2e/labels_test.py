"""Labels of endpoints, and a token that sees those alone that have some."""

import os
import unittest

import fleet


class Labels(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet()
        self.endpoints = {}
        for site in ("berlin", "paris"):
            models = self.make_folder(site)
            fleet.write_file(os.path.join(models, site + ".gguf"), fleet.gguf(site))
            token = self.fleet.ask("tokens", "create", "--label", f"team=ml,site={site}").strip()
            self.fleet.add_agent([models], token, name="agent-" + site).wait_until_delivered()
        for row in fleet.json_lines(self.fleet.ask("endpoints", "--json")):
            self.endpoints[row["labels"][0]] = row["endpoint_id"]
        self.berlin = self.endpoints["site=berlin"]
        self.paris = self.endpoints["site=paris"]

    def as_berlin(self, *words):
        return self.fleet.weighctl(*words, "--context", "berlin")

    def ask_as_berlin(self, *words):
        done = self.as_berlin(*words)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.decode()

    def give_berlin_a_token(self, role):
        token_file = self.path("berlin.token")
        fleet.write_file(token_file, self.fleet.ask("admin-tokens", "create", "--name", "bea", "--role", role,
                                                    "--scope", "site=berlin").encode())
        self.fleet.ask("context", "add", "berlin", "--server", self.fleet.address, "--ca-file",
                       self.fleet.ca_file, "--token-file", token_file)

    def test_are_the_tokens_and_then_what_administrators_say(self):
        self.assertIn("labels        site=berlin team=ml\n",
                      self.fleet.ask("endpoint", "show", self.berlin))
        said = self.fleet.ask("endpoint", "label", self.berlin, "site=bonn", "team-", "rack=7")
        self.assertEqual(f"Labels of {self.berlin}: rack=7 site=bonn\n", said)
        self.assertIn("1 model files.", self.fleet.ask("inventory", "--filter", 'label = "rack=7"'))
        for wrong, why in (("Site=x", "is no label"), ("site", "is neither KEY=VALUE")):
            done = self.fleet.weighctl("endpoint", "label", self.berlin, wrong)
            self.assertEqual(1, done.returncode, done)
            self.assert_one_line(done.stderr.decode(), why)
        said = self.fleet.ask("endpoint", "label", self.berlin, "rack-", "site-")
        self.assertEqual(f"Labels of {self.berlin}: none\n", said)
        log = self.fleet.ask("audit", "list", "--filter", "method = SetEndpointLabels")
        self.assertIn('labels=["rack=7" "site=bonn"]', log)

    def test_are_all_that_a_token_with_a_scope_sees(self):
        self.give_berlin_a_token("responder")
        rows = fleet.json_lines(self.ask_as_berlin("endpoints", "--json"))
        self.assertEqual([self.berlin], [row["endpoint_id"] for row in rows])
        rows = fleet.json_lines(self.ask_as_berlin("inventory", "--json"))
        self.assertEqual([self.berlin], [row["endpoint_id"] for row in rows])
        self.assertIn("site=berlin", self.ask_as_berlin("whoami"))
        self.assertIn("endpoints   1, 1 connected", self.ask_as_berlin("status"))
        for words in (("endpoint", "show", self.paris), ("events", self.paris), ("revoke", self.paris)):
            done = self.as_berlin(*words)
            self.assertEqual(1, done.returncode, done)
            self.assert_one_line(done.stderr.decode(), "there is no endpoint " + self.paris)
        # What was in sight follows the labels at once.
        self.fleet.ask("endpoint", "label", self.paris, "site=berlin")
        self.assertEqual(2, len(fleet.json_lines(self.ask_as_berlin("endpoints", "--json"))))
        self.fleet.ask("endpoint", "label", self.berlin, "site-")
        rows = fleet.json_lines(self.ask_as_berlin("inventory", "--json"))
        self.assertEqual([self.paris], [row["endpoint_id"] for row in rows])

    def test_of_a_scope_are_on_whatever_it_lets_in(self):
        self.give_berlin_a_token("admin")
        done = self.as_berlin("tokens", "create", "--label", "site=paris")
        self.assertEqual(1, done.returncode, done)
        self.assertIn(b"site=berlin", done.stderr)
        self.ask_as_berlin("tokens", "create", "--label", "site=berlin,rack=7")
        done = self.as_berlin("endpoint", "label", self.berlin, "site=paris")
        self.assertEqual(1, done.returncode, done)
        for words in (("audit", "list"), ("admin-tokens", "create", "--name", "x", "--role", "viewer")):
            done = self.as_berlin(*words, *(("--valid-for", "1h") if words[0] != "audit" else ()))
            self.assertEqual(1, done.returncode, done)
        self.ask_as_berlin("admin-tokens", "create", "--name", "x", "--role", "viewer", "--scope",
                           "site=berlin,team=ml", "--valid-for", "1h")


if __name__ == "__main__":
    unittest.main()
