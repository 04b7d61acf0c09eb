"""What the SOC does with findings by weighctl, and who is remembered for it."""

import unittest

import fleet

DENY_ALL = "policy: none\ndefault: {then: deny}\n"
ALLOW_ALL = "policy: all\ndefault: {then: allow}\n"


class Findings(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        self.fleet = self.make_fleet(rest=True)
        self.agent = self.fleet.add_agent([self.make_samples()])
        self.agent.wait_until_delivered()

    def put_in_force(self, text):
        self.fleet.publish(text)
        version = self.fleet.rest("/v1/policies/0")[1]["version"]
        fleet.wait_for(lambda: self.fleet.rest("/v1/policies/0")[1]["endpoints_in_force"] == "1",
                       f"version {version} in force")
        self.agent.wait_until_delivered()

    def denied(self):
        """The numbers of the findings that a model was denied."""
        path = "/v1/findings?include_resolved=true&page_size=1000&filter=rule%3Ddenied_model"
        return sorted(int(row["finding_id"]) for row in self.fleet.rest(path)[1]["findings"])

    def state(self, finding):
        shown = self.fleet.ask("finding", "show", str(finding)).splitlines()
        return next(line.split()[1] for line in shown if line.startswith("state "))

    def finding(self, *words, stdin=b""):
        done = self.fleet.weighctl("finding", *map(str, words), stdin=stdin)
        self.assertEqual(0, done.returncode, done)
        return done.stdout.decode()

    def assert_refused(self, words, *command):
        done = self.fleet.weighctl("finding", *map(str, command))
        self.assertEqual(1, done.returncode, done)
        self.assert_one_line(done.stderr.decode(), *words)

    def test_people_work_on_findings_and_the_server_resolves_them(self):
        self.put_in_force(DENY_ALL)
        known, worked_on, passed = self.denied()[:3]
        self.assertIn(f"Finding {worked_on} is acknowledged.",
                      self.finding("acknowledge", worked_on, "--comment", "is \x1b[1mmine"))
        self.assertIn(f"Finding {known} is dismissed.",
                      self.finding("dismiss", known, "--comment", "-", stdin="ours, \u00e4lter\n".encode()))
        listed = self.fleet.ask("findings")
        self.assertRegex(listed, rf"(?m)^ *{worked_on} .* acknowledged ")
        self.assertNotRegex(listed, rf"(?m)^ *{known} ")
        self.assertRegex(self.fleet.ask("findings", "--all"), rf"(?m)^ *{known} .* dismissed ")
        self.assertIn("1 findings.", self.fleet.ask("findings", "--filter", "state = acknowledged"))

        said = self.fleet.ask("finding", "show", str(known)).splitlines()[-2:]
        self.assertRegex(said[0], r"^\d{4}-.* init: dismissed$")
        self.assertEqual("  ours, \u00e4lter", said[1], "as it was typed, without the end of its line")
        said = self.fleet.ask("finding", "show", str(worked_on)).splitlines()[-2:]
        self.assertEqual("  is \\x1b[1mmine", said[1], "nothing that a terminal obeys")

        # What they were about passes, and comes back.
        self.put_in_force(ALLOW_ALL)
        self.assertEqual(["dismissed", "resolved", "resolved"], [*map(self.state, (known, worked_on, passed))])
        self.put_in_force(DENY_ALL)
        self.assertEqual(["dismissed", "open", "open"], [*map(self.state, (known, worked_on, passed))])
        self.assertIn(f"Finding {known} is open.", self.finding("reopen", known))
        self.assertIn(f"Finding {known} is open.", self.finding("comment", known, "--comment", "after all"))
        self.assertEqual("  after all", self.fleet.ask("finding", "show", str(known)).splitlines()[-1])

    def test_who_did_what_is_kept_and_viewers_only_look(self):
        self.put_in_force(DENY_ALL)
        number = self.denied()[0]
        self.assert_refused(["there is no finding 999999"], "show", 999999)
        self.assert_refused(["neither a state nor a comment"], "comment", number)
        self.assert_refused(["is no number"], "dismiss", "-1")
        self.assert_refused(["2048 bytes"], "comment", number, "--comment", "x" * 2049)
        self.assertEqual("open", self.state(number))

        first_profile = self.fleet.profile
        for role in ("responder", "viewer"):
            token = self.path(role)
            with open(token, "w", encoding="utf-8") as out:
                out.write(self.fleet.ask("admin-tokens", "create", "--name", f"the {role}", "--role", role))
            self.fleet.profile = self.path(f"{role}.json")
            self.fleet.ask("login", "--server", self.fleet.address, "--ca-file", self.fleet.ca_file,
                           "--token-file", token)
            if role == "viewer":
                self.assert_refused(["viewer", "work_on_findings"], "acknowledge", number)
            else:
                self.finding("acknowledge", number)
            shown = self.fleet.ask("finding", "show", str(number))
            self.assertRegex(shown, r"the responder: acknowledged\n$")
            self.fleet.profile = first_profile
        audit = self.fleet.ask("audit", "list", "--filter", "method = UpdateFinding")
        self.assertIn("the responder", audit)
        self.assertIn("the viewer", audit)

        # Whose token published is kept with what was published.
        self.assertIn("by init,", self.fleet.weighctl("policy", "show").stderr.decode())
        whose = "published_by = init"
        self.assertIn("1 policies.", self.fleet.ask("policy", "list", "--filter", whose))
        self.assertIn("0 policies.", self.fleet.ask("policy", "list", "--filter", f"NOT {whose}"))


if __name__ == "__main__":
    unittest.main()
